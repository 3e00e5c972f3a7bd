import type { SystemCheckReport } from "../../base/spec/docker/extensions.ts";
import type { Client } from "../client.ts";

/** POST /system/check */
export async function checkSystem(
  client: Client,
  options: { readonly quick: boolean; readonly repair: boolean },
): Promise<SystemCheckReport> {
  const query = { quick: options.quick ? "1" : "0", repair: options.repair ? "1" : "0" };
  return await client.json({ method: "POST", path: "/system/check", query });
}
