import { type Client, segment } from "../client.ts";

/** GET /networks/{id}, as the daemon's own JSON text. */
export async function inspectNetworkRaw(client: Client, id: string, verbose = false): Promise<string> {
  return await client.text({
    method: "GET",
    path: `/networks/${segment(id, "network")}`,
    query: { verbose },
  });
}
