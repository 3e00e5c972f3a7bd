import type { NetworkInspect } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** A network for the client's version: `Status` came with 1.52, `EnableIPv4` with 1.48. */
export function networkReply(version: ApiVersion, network: NetworkInspect): unknown {
  const reply: Record<string, unknown> = { ...network };
  if (version < 52) delete reply["Status"];
  if (version < 48) delete reply["EnableIPv4"];
  return reply;
}
