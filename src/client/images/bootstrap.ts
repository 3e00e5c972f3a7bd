import type { ImageBootstrapRequest } from "../../base/spec/docker/extensions.ts";
import type { Client } from "../client.ts";
import { jsonLines } from "../stream/json-lines.ts";
import type { ProgressMessage } from "./progress.ts";

/** POST /images/bootstrap: a base image from a distributor's packages. Ends when the connection does. */
export async function bootstrapImage(
  client: Client,
  request: ImageBootstrapRequest,
): Promise<AsyncGenerator<ProgressMessage, void, void>> {
  const reply = await client.send({ method: "POST", path: "/images/bootstrap", json: request });
  return jsonLines(reply.body);
}
