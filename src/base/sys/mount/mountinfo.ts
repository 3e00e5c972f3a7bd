import { readFileSync } from "node:fs";

/** One line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** "major:minor". */
  readonly device: string;
  /** Which directory of the file system is mounted. */
  readonly root: string;
  readonly mountpoint: string;
  readonly options: readonly string[];
  /** "shared:N", "master:N", ...; empty when private. */
  readonly optional: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

export function parseMountInfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    if (dash < 0) continue;
    const field = (index: number) => decodeOctal(fields[index] ?? "");
    mounts.push({
      id: Number(fields[0]),
      parent: Number(fields[1]),
      device: field(2),
      root: field(3),
      mountpoint: field(4),
      options: (fields[5] ?? "").split(","),
      optional: fields.slice(6, dash),
      type: field(dash + 1),
      source: field(dash + 2),
      superOptions: (fields[dash + 3] ?? "").split(",").map(decodeOctal),
    });
  }
  return mounts;
}

export function readMountInfo(pid: number | "self" = "self"): MountInfo[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
}

/** The mount that covers `path` (absolute, without links): the last one whose mount point is it or above it. */
export function mountOf(mounts: readonly MountInfo[], path: string): MountInfo | undefined {
  let best: MountInfo | undefined;
  for (const mount of mounts) {
    const at = mount.mountpoint;
    if (at !== "/" && path !== at && !path.startsWith(`${at}/`)) continue;
    if (!best || at.length >= best.mountpoint.length) best = mount;
  }
  return best;
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function decodeOctal(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
    : text;
}
