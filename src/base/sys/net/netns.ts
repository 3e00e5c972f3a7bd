import { dlopen, FFIType } from "bun:ffi";
import { fstatSync, statSync } from "node:fs";
import { errno, SystemError } from "../libc.ts";
import { closeFd, openFd } from "./sockets.ts";

const lib = dlopen("libc.so.6", {
  setns: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});
const CLONE_NEWNET = 0x40000000;

/** A network namespace held open; it cannot vanish before `dispose`. */
export interface NetworkNamespace extends Disposable {
  readonly fd: number;
}

/** The network namespace of a process. Throws `SystemError` ENOENT when the process is gone. */
export function openNetworkNamespace(pid: number): NetworkNamespace {
  const fd = openFd(`/proc/${pid}/ns/net`);
  return { fd, [Symbol.dispose]: () => closeFd(fd) };
}

/** True for the namespace this thread is in: the host's, for all that concerns containers. */
export function isCurrentNamespace(fd: number): boolean {
  const other = fstatSync(fd);
  const own = statSync("/proc/thread-self/ns/net");
  return other.ino === own.ino && other.dev === own.dev;
}

/**
 * Runs `section` with this thread inside the namespace `fd`. The thread is the JavaScript thread, so the section must be synchronous:
 * after an `await` anything could run in the wrong network. setns moves the calling thread alone (setns(2)); sockets keep the
 * namespace they were made in, so most callers make a socket inside and use it outside.
 */
export function inNetworkNamespace<T>(
  fd: number,
  section: () => T extends PromiseLike<unknown> ? never : T,
): T {
  const home = openFd("/proc/thread-self/ns/net");
  try {
    if (lib.symbols.setns(fd, CLONE_NEWNET) !== 0) throw new SystemError(errno(), "setns");
    try {
      return section();
    } finally {
      if (lib.symbols.setns(home, CLONE_NEWNET) !== 0) {
        // The thread cannot be brought home: going on would act on the wrong network, so the process must end.
        console.error(`setns back to the host network failed: errno ${errno()}`);
        process.abort();
      }
    }
  } finally {
    closeFd(home);
  }
}

/**
 * Moves this thread into a namespace until disposed. For programs and tests that live on another network as a whole; everything
 * else uses `inNetworkNamespace`, which cannot leak over an `await`.
 */
export function enterNetworkNamespace(fd: number): Disposable {
  const home = openFd("/proc/thread-self/ns/net");
  const enter = (target: number) => {
    if (lib.symbols.setns(target, CLONE_NEWNET) !== 0) throw new SystemError(errno(), "setns");
  };
  try {
    enter(fd);
  } catch (error) {
    closeFd(home);
    throw error;
  }
  return {
    [Symbol.dispose]: () => {
      try {
        enter(home);
      } finally {
        closeFd(home);
      }
    },
  };
}
