import type { ClusterVolumeSpec } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** PUT /volumes/{name}: changes a cluster volume. */
export async function updateVolume(
  client: Client,
  name: string,
  version: number,
  spec: ClusterVolumeSpec,
): Promise<void> {
  await client.text({
    method: "PUT",
    path: `/volumes/${segment(name, "volume")}`,
    query: { version },
    json: { Spec: spec },
  });
}
