import { SystemError, syscall } from "../libc.ts";
import { SYS } from "../syscalls.ts";

/** A descriptor that becomes readable when the process ends (pidfd_open(2)); undefined when there is no such process. */
export function openPidfd(pid: number): number | undefined {
  try {
    return syscall("pidfd_open", SYS.pidfd_open, pid, 0);
  } catch (error) {
    if (error instanceof SystemError && (error.code === "ESRCH" || error.code === "EINVAL")) return undefined;
    throw error;
  }
}
