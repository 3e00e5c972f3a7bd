import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { conflict } from "../base/lib/errors.ts";
import { tryLockFile } from "../base/sys/flock.ts";

/**
 * Nobody else serves this data root while the lock is held, however the last daemon ended. A daemon that was killed while it
 * started a program leaves a child that has every descriptor until its exec: so long a held lock is tried again.
 */
export async function lockDataRoot(dataRoot: string, patienceMs = 2000): Promise<Disposable> {
  for (const end = performance.now() + patienceMs; ; await Bun.sleep(10)) {
    const lock = tryLockFile(join(dataRoot, "daemon.lock"));
    if (lock) return lock;
    if (performance.now() > end) throw conflict(`another daemon is running with data root ${dataRoot}`);
  }
}

/** Writes the pid file; one that names a living process is refused in dockerd's words. */
export function writePidFile(path: string): Disposable {
  if (existsSync(path)) {
    const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
    if (Number.isInteger(pid) && pid > 0 && pid !== process.pid && isDaemon(pid)) {
      throw conflict(
        `process with PID ${pid} is still running, ensure tug daemon is not running or delete ${path}`,
      );
    }
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, `${process.pid}\n`, { mode: 0o644 });
  return {
    [Symbol.dispose]: () => {
      // Another daemon may have written its own meanwhile.
      if (existsSync(path) && Number.parseInt(readFileSync(path, "utf8"), 10) === process.pid) rmSync(path);
    },
  };
}

/** A pid may have been given to somebody else since: only a process that runs `daemon` counts. */
function isDaemon(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes("daemon");
  } catch {
    // No such process.
    return false;
  }
}
