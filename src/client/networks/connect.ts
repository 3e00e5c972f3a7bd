import type { EndpointSettings } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** POST /networks/{id}/connect */
export async function connectNetwork(
  client: Client,
  network: string,
  container: string,
  endpoint: EndpointSettings,
): Promise<void> {
  await client.text({
    method: "POST",
    path: `/networks/${segment(network, "network")}/connect`,
    json: { Container: container, EndpointConfig: endpoint },
  });
}
