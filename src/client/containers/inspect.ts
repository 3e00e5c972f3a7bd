import type { ContainerInspectResponse } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** GET /containers/{id}/json */
export async function inspectContainer(
  client: Client,
  id: string,
  size = false,
): Promise<ContainerInspectResponse> {
  return JSON.parse(await inspectContainerRaw(client, id, size)) as ContainerInspectResponse;
}

/** The same as the daemon's own JSON text, number formats and escapes untouched. */
export async function inspectContainerRaw(client: Client, id: string, size = false): Promise<string> {
  return await client.text({ method: "GET", path: `/containers/${segment(id)}/json`, query: { size } });
}
