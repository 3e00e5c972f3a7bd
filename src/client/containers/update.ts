import type { ContainerUpdateResponse, Resources, RestartPolicy } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** What can change while a container lives. */
export type UpdateSpec = Resources & { readonly RestartPolicy?: RestartPolicy | undefined };

/** POST /containers/{id}/update */
export async function updateContainer(
  client: Client,
  id: string,
  spec: UpdateSpec,
): Promise<ContainerUpdateResponse> {
  return await client.json({ method: "POST", path: `/containers/${segment(id)}/update`, json: spec });
}
