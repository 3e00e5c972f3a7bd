import { isCode, TugError } from "../../base/lib/errors.ts";
import type { PartialSaveRequest } from "../../base/spec/docker/extensions.ts";
import type { Client } from "../client.ts";
import type { HttpReply } from "../http/transport.ts";

/** POST /images/get: an archive without the layers that the inventory tells of. */
export async function saveMissing(
  client: Client,
  request: PartialSaveRequest,
  signal?: AbortSignal,
): Promise<HttpReply> {
  try {
    return await client.send({ method: "POST", path: "/images/get", json: request, signal });
  } catch (error) {
    if (!isCode(error, "not-found") || !/page not found/.test(String(error))) throw error;
    throw new TugError("not-implemented", "this daemon cannot leave layers out of archives: it is not Tug", {
      cause: error,
    });
  }
}
