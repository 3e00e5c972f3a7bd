import type { SystemInfo } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** GET /info */
export async function daemonInfo(client: Client): Promise<SystemInfo> {
  return await client.json({ method: "GET", path: "/info" });
}
