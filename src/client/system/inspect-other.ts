import { type Client, segment } from "../client.ts";

/** GET /{kind}/{name}: objects of a swarm and plugins, as the daemon's own JSON text. */
export async function inspectOther(
  client: Client,
  kind: "services" | "tasks" | "nodes" | "plugins" | "secrets" | "configs",
  name: string,
): Promise<string> {
  const tail = kind === "plugins" ? "/json" : "";
  return await client.text({ method: "GET", path: `/${kind}/${segment(name, kind.slice(0, -1))}${tail}` });
}
