import { dlopen, FFIType as T } from "bun:ffi";
import { errno, SystemError } from "../libc.ts";

const PR_SET_PDEATHSIG = 1;

/**
 * Has the kernel send `signal` to this process when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG). `parent`
 * is the pid it was started by; when that one is gone already, the signal is sent now.
 */
export function dieWithParent(signal: number, parent: number): void {
  const { symbols } = dlopen("libc.so.6", {
    prctl: { args: [T.i32, T.u64, T.u64, T.u64, T.u64], returns: T.i32 },
  });
  if (symbols.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) < 0) throw new SystemError(errno(), "prctl");
  if (process.ppid !== parent) process.kill(process.pid, signal);
}
