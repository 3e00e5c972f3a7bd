/**
 * Waits for `promise`, but no longer than `signal` allows: rejects with its reason. The promise itself runs on; `late` gets
 * its value then, to undo what nobody waits for any more.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late?: (value: T) => void,
): Promise<T> {
  if (!signal) return await promise;
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  let given = false;
  try {
    const value = await Promise.race([promise, aborted]);
    given = true;
    return value;
  } finally {
    signal.removeEventListener("abort", stop);
    // When the signal won, a later failure of the promise belongs to nobody.
    if (!given) promise.then(late ?? (() => undefined)).catch(() => undefined);
  }
}
