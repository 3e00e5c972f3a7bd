/** So much processor time makes giving back worthwhile. */
const worthwhileMicroseconds = 100_000;
/** The burst is over when the daemon did less than this in one short interval. */
const idleMicroseconds = 50_000;
/** How often to look after a burst, and at rest, where each look is itself the work. */
const burstMs = 1000;
const restMs = 10_000;

/**
 * After a burst of work the heap holds garbage that nothing collects while the daemon idles, because collections are
 * triggered by allocations. This gives it back once the burst is over; an idle daemon is left alone. Measured after 200 runs:
 * 112 MB resident fall to 85 where `Bun.gc(true)` alone reaches 95, and the next run is as fast. The engine's `--smol` takes a
 * quarter more processor time in every run and saves nothing at the peak.
 */
export function giveBackMemory(): Disposable {
  const spent = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  let before = spent();
  // What starting took is a burst, too.
  let givenBack = 0;
  let bursting = true;
  let timer: Timer;
  const look = () => {
    const now = spent();
    const idle = now - before < idleMicroseconds;
    before = now;
    if (now - givenBack >= worthwhileMicroseconds) {
      if (bursting && idle) {
        Bun.shrink();
        before = givenBack = spent();
        bursting = false;
      } else bursting = true;
    } else bursting = false;
    arm();
  };
  const arm = () => {
    timer = setTimeout(look, bursting ? burstMs : restMs);
    timer.unref();
  };
  arm();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
