import type { ReplyHeaders } from "../base/http/head.ts";
import type { Call } from "./call.ts";

/** Sends `source` as the reply's body; a failure before its first bytes is an ordinary error, later it cuts the connection. */
export async function streamBody(
  call: Call,
  headers: ReplyHeaders,
  source: ReadableStream<Uint8Array>,
): Promise<void> {
  const reader = source.getReader();
  try {
    let step = await reader.read();
    const reply = call.exchange.stream(200, { ...call.headers, ...headers });
    while (!step.done) {
      await reply.write(step.value);
      step = await reader.read();
    }
  } catch (error) {
    await reader.cancel(error);
    throw error;
  }
}
