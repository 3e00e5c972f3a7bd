import type { ContainerUpdateResponse, Resources, RestartPolicy } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** What can change while a container lives. */
export type UpdateSpec = Resources & {
  readonly RestartPolicy?: RestartPolicy | undefined;
  /** Tug's own: ports to publish (`-p` syntax), and container ports to publish no longer (`80/tcp`). */
  readonly PublishAdd?: readonly string[];
  readonly PublishRm?: readonly string[];
};

/** POST /containers/{id}/update */
export async function updateContainer(
  client: Client,
  id: string,
  spec: UpdateSpec,
): Promise<ContainerUpdateResponse> {
  return await client.json({ method: "POST", path: `/containers/${segment(id)}/update`, json: spec });
}
