import { messageOf } from "../base/lib/errors.ts";
import type { ProgressMessage } from "../base/spec/docker/progress.ts";
import type { Call } from "./call.ts";
import { streamJson } from "./json-stream.ts";

/** Sends progress messages; a failure after the first becomes the last one, which is where every client looks for it. */
export async function streamProgress(call: Call, messages: AsyncIterable<ProgressMessage>): Promise<void> {
  await streamJson(call, messages, { failure: errorMessage });
}

export function errorMessage(error: unknown): ProgressMessage {
  const message = messageOf(error);
  return { errorDetail: { message }, error: message };
}
