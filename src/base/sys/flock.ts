import { dlopen, FFIType as T } from "bun:ffi";
import { AT_FDCWD, closeFd, O, openat } from "./at.ts";
import { errno, SystemError } from "./libc.ts";

const { symbols: c } = dlopen("libc.so.6", { flock: { args: [T.i32, T.i32], returns: T.i32 } });

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes an exclusive advisory lock on a file (made when missing) without waiting; undefined when somebody holds it. The
 * descriptor is close-on-exec: a child that outlives this process must not keep the lock (flock(2)).
 */
export function tryLockFile(path: string): Disposable | undefined {
  return tryLock(path, O.RDWR | O.CREAT | O.CLOEXEC);
}

/** The same on this process's network namespace, by its file in /proc (proc(5)): the lock of all in it, with nothing to make or to remove. */
export function tryLockNetworkNamespace(): Disposable | undefined {
  return tryLock("/proc/self/ns/net", O.RDONLY | O.CLOEXEC);
}

function tryLock(path: string, flags: number): Disposable | undefined {
  const fd = openat(AT_FDCWD, path, flags, 0o600);
  if (c.flock(fd, LOCK_EX | LOCK_NB) < 0) {
    const error = new SystemError(errno(), "flock", path);
    closeFd(fd);
    if (error.code === "EAGAIN") return undefined;
    throw error;
  }
  return { [Symbol.dispose]: () => closeFd(fd) };
}
