import { dlopen, FFIType as T } from "bun:ffi";

/** glibc's sigset_t, on x86-64 and arm64: 1024 bits, of which the kernel has 64; signal 1 is bit 0. */
const SIGSET_WORDS = 16;
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: the thread's own faults, with which the kernel ends a process that blocks them. */
const FAULTS = [4, 5, 6, 7, 8, 11, 31];

const { symbols: c } = dlopen("libc.so.6", {
  pthread_sigmask: { args: [T.i32, T.ptr, T.ptr], returns: T.i32 },
});

/**
 * Calls a library while no signal is handled on this thread: what comes meanwhile is handled afterwards, or by another thread. A handler interrupts
 * select(2), poll(2) and others even where it asks for restarts (signal(7), "Interruption of system calls"), and a library that takes EINTR for
 * a failure then fails for each child that ends at the wrong moment. For calls of some milliseconds.
 */
export function uninterrupted<R>(call: () => R): R {
  const before = new BigUint64Array(SIGSET_WORDS);
  c.pthread_sigmask(SIG_BLOCK, blocked(), before);
  try {
    return call();
  } finally {
    c.pthread_sigmask(SIG_SETMASK, before, null);
  }
}

function blocked(): BigUint64Array {
  const set = new BigUint64Array(SIGSET_WORDS);
  set[0] = FAULTS.reduce((bits, signal) => bits & ~(1n << BigInt(signal - 1)), (1n << 64n) - 1n);
  return set;
}
