import type { Log } from "../../base/lib/log.ts";
import { tryLockNetworkNamespace } from "../../base/sys/flock.ts";

/** Whoever holds it needs a few milliseconds: one that has it for so long is stopped, and is not waited for. */
const patienceMs = 2000;

/**
 * Held from the look at what is free on the host (a subnet, a port) until it is taken, so that two daemons never take the same: the host
 * would send the packets for the one's containers to the other's.
 */
export function lockHost(log: Log): Disposable {
  try {
    for (const end = performance.now() + patienceMs; performance.now() < end; Bun.sleepSync(1)) {
      const lock = tryLockNetworkNamespace();
      if (lock) return lock;
    }
    log.warn("another daemon has been choosing a subnet or a port for long: it is not waited for");
  } catch (error) {
    log.warn("the network namespace cannot be locked: another daemon may take the same subnet or port", {
      error,
    });
  }
  return { [Symbol.dispose]: () => undefined };
}
