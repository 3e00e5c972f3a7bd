import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupPaths, oomBegan, oomKills } from "../../../../base/sys/cgroup/cgroup.ts";
import type { TaskExit } from "../../runtime.ts";

/** The exit that conmon recorded in a task's directory; `undefined` while there is none. */
export function recordedExit(id: string, state: string, cgroups: CgroupPaths): TaskExit | undefined {
  const path = join(state, "exit");
  try {
    const text = readFileSync(path, "utf8");
    // conmon renames the finished file into place: its mtime is the moment of recording.
    const at = statSync(path, { bigint: true }).mtimeNs;
    const code = Number.parseInt(text, 10);
    return {
      id,
      exitCode: code >= 0 && code <= 255 ? code : 255,
      at,
      oomKilled: wasOomKilled(state, cgroups),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Writes the `oom` file when the kernel's counts say so. conmon 2.1 does it for v1 only; and under systemd the cgroup with its counts is
 * gone as soon as its last process, before anybody could ask.
 */
export function noteOom(state: string, cgroups: CgroupPaths): boolean {
  if (!oomBegan(cgroups)) return false;
  writeFileSync(join(state, "oom"), "");
  return true;
}

/** The `oom` file, or the kernel's own count, which also knows of a kill just before the end. */
export function wasOomKilled(state: string, cgroups: CgroupPaths): boolean {
  return statSync(join(state, "oom"), { throwIfNoEntry: false }) !== undefined || oomKills(cgroups) > 0;
}
