import { type Client, segment } from "../client.ts";

/** POST /networks/{id}/disconnect */
export async function disconnectNetwork(
  client: Client,
  network: string,
  container: string,
  force: boolean,
): Promise<void> {
  await client.text({
    method: "POST",
    path: `/networks/${segment(network, "network")}/disconnect`,
    json: { Container: container, Force: force },
  });
}
