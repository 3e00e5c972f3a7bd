/** Runs a generator for a few milliseconds at a time: tens of thousands of entries shall hold nobody up. */
export async function inSlices<R>(steps: Generator<void, R, undefined>, signal: AbortSignal): Promise<R> {
  let since = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - since < 4) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    since = performance.now();
  }
}
