import type { Log } from "../../base/lib/log.ts";
import { tryLockNetworkNamespace } from "../../base/sys/flock.ts";

/** Choosing takes a few milliseconds: one that holds the lock for so long is stopped, and is not waited for. */
const patienceMs = 2000;

/**
 * Held from the look at which subnets are free until one's bridge has its address, so that two daemons of one host do not take the same:
 * the host would send the packets for the one's containers to the other's bridge.
 */
export function lockSubnets(log: Log): Disposable {
  try {
    for (const end = performance.now() + patienceMs; performance.now() < end; Bun.sleepSync(1)) {
      const lock = tryLockNetworkNamespace();
      if (lock) return lock;
    }
    log.warn("another daemon has been choosing a subnet for long: it is not waited for");
  } catch (error) {
    log.warn("the network namespace cannot be locked: another daemon may take the same subnet", { error });
  }
  return { [Symbol.dispose]: () => undefined };
}
