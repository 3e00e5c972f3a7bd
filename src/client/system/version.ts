import type { SystemVersion } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** GET /version */
export async function daemonVersion(client: Client): Promise<SystemVersion> {
  return await client.json({ method: "GET", path: "/version" });
}
