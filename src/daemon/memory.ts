/** So much processor time makes a collection worth its own, some 20 ms. */
const worthwhileMicroseconds = 300_000;
const everyMs = 30_000;

/**
 * After a burst of work the heap holds garbage that nothing collects while the daemon idles, because collections are
 * triggered by allocations. This collects once after such a burst; an idle daemon is left alone.
 */
export function giveBackMemory(): Disposable {
  const spent = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  let collectedAt = spent();
  const timer = setInterval(() => {
    if (spent() - collectedAt < worthwhileMicroseconds) return;
    Bun.gc(true);
    collectedAt = spent();
  }, everyMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
