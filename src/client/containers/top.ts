import type { ContainerTopResponse } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** GET /containers/{id}/top */
export async function topContainer(
  client: Client,
  id: string,
  psArgs: string,
): Promise<ContainerTopResponse> {
  return await client.json({
    method: "GET",
    path: `/containers/${segment(id)}/top`,
    query: { ps_args: psArgs || undefined },
  });
}
