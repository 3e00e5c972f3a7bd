import type { Signal } from "./signal.ts";

/**
 * What `work` reports by calls, as an iteration: gives what `take` has now, and again each time `changed` is notified, until the work has
 * settled. Its failure is thrown after the last report.
 */
export async function* reportsOf<T>(
  work: Promise<unknown>,
  changed: Signal,
  take: () => Iterable<T>,
): AsyncGenerator<T, void, undefined> {
  let settled = false;
  const end = () => {
    settled = true;
    changed.notify();
  };
  work.then(end, end);
  for (;;) {
    const seen = changed.version;
    const over = settled;
    yield* take();
    if (over) break;
    await changed.wait(seen);
  }
  await work;
}
