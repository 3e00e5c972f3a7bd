import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

/** CRIU's log is long; what went wrong is at its end. */
const tail = 64 * 1024;
const most = 3;

/**
 * What CRIU itself gives as its reason: the first complaints of its log, without time stamps and source lines. The runtimes only
 * say that it failed and where the log is, which is removed with the checkpoint that was not made. Empty when it says nothing.
 */
export function criuReason(directory: string, name: string): string {
  const text = readTail(join(directory, name));
  const complaints = text
    .split("\n")
    .map((line) => /^\([\d.]+\)\s*(?:\d+:\s*)?Error \([^)]*\):\s*(.*)$/.exec(line)?.[1]?.trim() ?? "")
    .filter(Boolean);
  return [...new Set(complaints)].slice(0, most).join("; ");
}

/** Not through a link: the directory may be one that the caller named. */
function readTail(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return ""; // it did not come as far as a log
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return "";
    const from = Math.max(0, stat.size - tail);
    const bytes = Buffer.alloc(Math.min(tail, stat.size));
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from)).toString();
  } finally {
    closeSync(fd);
  }
}
