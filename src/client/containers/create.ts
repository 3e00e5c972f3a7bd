import type {
  ContainerConfig,
  ContainerCreateResponse,
  NetworkingConfig,
} from "../../base/spec/docker/api.gen.ts";
import type { TugHostConfig } from "../../base/spec/docker/extensions.ts";
import type { Client } from "../client.ts";

/** Everything a container is made from. */
export interface CreateSpec extends ContainerConfig {
  readonly HostConfig: TugHostConfig;
  readonly NetworkingConfig: NetworkingConfig;
}

/** POST /containers/create. `spec` may depend on the API version, so it is a function of the client. */
export async function createContainer(
  client: Client,
  spec: (client: Client) => CreateSpec,
  options: {
    readonly name?: string | undefined;
    readonly platform?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<ContainerCreateResponse> {
  return await client.json({
    method: "POST",
    path: "/containers/create",
    query: { name: options.name || undefined, platform: options.platform || undefined },
    json: () => spec(client),
    signal: options.signal,
  });
}
