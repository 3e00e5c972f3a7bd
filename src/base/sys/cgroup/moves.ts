import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CgroupHierarchy, type CgroupPaths, cgroupPids, cgroupsOf, UNIFIED } from "./cgroup.ts";

/** Long enough for what is started and over at once, such as most health checks. */
const UNIFIED_DELAY_MS = 250;

/**
 * Keeps the cost of moving processes between cgroups out of the way of who waits. A move takes cgroup_threadgroup_rwsem for
 * writing: the first one after a pause waits for an RCU grace period (8 to 20 ms), those right after it do not.
 */
export class CgroupMoves {
  readonly #hierarchy: CgroupHierarchy;
  #readying = false;

  constructor(hierarchy: CgroupHierarchy) {
    this.#hierarchy = hierarchy;
  }

  /**
   * A process is about to be moved: moves ourselves to where we are, so that the grace period passes while the runtime is being
   * started. Never fails: without it the move is only slower.
   */
  ready(): void {
    if (this.#readying) return;
    const own = Object.entries(cgroupsOf(this.#hierarchy, process.pid) ?? {});
    const path = own.find(([name]) => name !== UNIFIED)?.[1];
    if (path === undefined) return;
    this.#readying = true;
    void move(path, process.pid).finally(() => {
      this.#readying = false;
    });
  }

  /**
   * Brings processes that went into a container's v1 cgroups by themselves into its cgroup of a hybrid host's v2 tree too, a moment
   * later: that tree controls nothing, it only tells whose a process is.
   */
  joinUnified(paths: CgroupPaths): void {
    const unified = paths[UNIFIED];
    if (unified === undefined) return;
    setTimeout(async () => {
      const there = new Set(cgroupPids({ [UNIFIED]: unified }));
      for (const pid of cgroupPids(paths)) if (!there.has(pid)) await move(unified, pid);
    }, UNIFIED_DELAY_MS).unref();
  }
}

/** Whatever it fails with, nothing is to be done: the process or the cgroup has ended (ESRCH, ENODEV, ENOENT), or is not ours. */
async function move(cgroup: string, pid: number): Promise<void> {
  await writeFile(join(cgroup, "cgroup.procs"), String(pid), { flag: "r+" }).catch(() => undefined);
}
