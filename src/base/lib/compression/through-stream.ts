import type { Transform } from "node:stream";

/** Pumps `source` through a node Transform with backpressure on both sides; an error of either ends both. */
export async function* throughStream(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  let failure: unknown;
  const pump = async () => {
    try {
      for await (const chunk of source) {
        if (transform.destroyed) return;
        if (!transform.write(chunk)) await drained(transform);
      }
      transform.end();
    } catch (error) {
      failure = error;
      transform.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const pumping = pump();
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } catch (error) {
    throw failure ?? error;
  } finally {
    transform.destroy();
    await pumping;
  }
  if (failure !== undefined) throw failure;
}

function drained(transform: Transform): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      transform.off("drain", done);
      transform.off("close", done);
      resolve();
    };
    transform.on("drain", done);
    transform.on("close", done);
  });
}
