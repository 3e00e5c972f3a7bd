import type { Volume, VolumeCreateRequest } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** POST /volumes/create */
export async function createVolume(client: Client, spec: VolumeCreateRequest): Promise<Volume> {
  return await client.json({ method: "POST", path: "/volumes/create", json: spec });
}
