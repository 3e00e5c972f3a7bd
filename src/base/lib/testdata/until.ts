import { systemClock } from "../clock.ts";

/** Waits for a condition of the outside world that has no event. The bound is for what never comes: a busy machine may be slow. */
export async function until(condition: () => boolean, ms = 15_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not come true within ${ms} ms: ${condition}`);
    await systemClock.sleep(5);
  }
}
