/** A generator of bytes as a stream that pulls; `owned` is let go at its end, however that comes. */
export function tarStream(
  source: AsyncGenerator<Uint8Array, void, undefined>,
  owned: AsyncDisposable,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    signal.removeEventListener("abort", abort);
    try {
      await source.return();
    } finally {
      await owned[Symbol.asyncDispose]();
    }
  };
  // The generator may be in the middle of a read: `return` waits for it.
  const abort = () => {
    close().catch(() => undefined); // nobody is left to tell
  };
  signal.addEventListener("abort", abort, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await source.next();
          if (!next.done) return controller.enqueue(next.value);
          await close();
          controller.close();
        } catch (error) {
          // The first failure is the one to tell.
          await close().catch(() => undefined);
          controller.error(error);
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );
}
