import { closeSync, readFileSync } from "node:fs";
import { SystemError, syscall } from "../libc.ts";
import { SYS } from "../syscalls.ts";
import { openPidfd } from "./pidfd-open.ts";

/** One process for good: a pid alone may be reused, a pid with its start time (proc(5), stat field 22) may not. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  readonly startTime: string;
}

/** State, parent and start time of a process; `undefined` when there is none. */
export function processStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The command's name may hold spaces and parentheses: fields count from the last ")".
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), startTime: fields[19] ?? "" };
}

/** True while that very process lives; a zombie does not. */
export function isAlive(process: ProcessIdentity): boolean {
  const stat = processStat(process.pid);
  return (
    stat !== undefined && stat.startTime === process.startTime && stat.state !== "Z" && stat.state !== "X"
  );
}

/** Milliseconds since a process was started, by the kernel's own clock; `undefined` when there is none. */
export function processAgeMs(pid: number): number | undefined {
  const stat = processStat(pid);
  if (!stat) return undefined;
  const uptimeMs = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) * 1000;
  // Both count from boot; the ticks of proc(5) are hundredths of a second on every architecture of Linux.
  return Math.max(0, uptimeMs - Number(stat.startTime) * 10);
}

/** The identity of a running pid, to be checked later. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = processStat(pid);
  return stat && { pid, startTime: stat.startTime };
}

/**
 * Signals exactly that process: a pidfd is opened first, then the identity checked, so that a reused pid is never hit.
 * False when it is gone.
 */
export function signalProcess(process: ProcessIdentity, signal: number): boolean {
  const fd = openPidfd(process.pid);
  if (fd === undefined) return false;
  try {
    if (!isAlive(process)) return false;
    syscall("pidfd_send_signal", SYS.pidfd_send_signal, fd, signal);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "ESRCH") return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}
