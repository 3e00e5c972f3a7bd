import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { freezeState, killCgroup, setFrozen } from "../../../../base/sys/cgroup/cgroup.ts";
import {
  identify,
  isAlive,
  type ProcessIdentity,
  processStat,
  signalProcess,
} from "../../../../base/sys/process/pidfd.ts";
import { readRecord } from "./task-record.ts";
import type { Task } from "./task-table.ts";

const SIGKILL = 9;
const SIGSTOP = 19;

/** Who init and monitor are. An exec may have ended already: then only its exit file speaks for it. */
export function identities(
  pid: number,
  monitorPid: number,
): { readonly init: ProcessIdentity; readonly monitor: ProcessIdentity } {
  return {
    init: identify(pid) ?? { pid, startTime: "" },
    monitor: identify(monitorPid) ?? { pid: monitorPid, startTime: "" },
  };
}

/** Ends every process of a task, its monitor last, whether or not the creation got as far as recording them. */
export async function endProcesses(task: Task): Promise<void> {
  const { record, dirs } = task;
  const [pidFile, monitorFile] = [join(dirs.state, "pid"), join(dirs.state, "monitor.pid")];
  const monitor = record.monitor ?? pidIn(monitorFile);
  // Its daemon died, or gave up, while it was being set up: nobody has said yet what there is to end.
  if (!record.init && !says(pidFile)) {
    // A monitor whose runtime failed ends by itself.
    const over = says(monitorFile) && (await gone(monitor, 50));
    if (!over) await endSetUp(dirs.state);
  }
  const init = record.init ?? pidIn(pidFile);
  if (record.kind === "container") {
    killCgroup(record.cgroups, SIGKILL);
    if (freezeState(record.cgroups) !== "thawed") setFrozen(record.cgroups, false);
  }
  if (init) signalProcess(init, SIGKILL);
  await gone(init, 5_000);
  // conmon ends by itself once its process has; one without a process (half-created) does not.
  if (monitor && !(await gone(monitor, 2_000))) {
    signalProcess(monitor, SIGKILL);
    await gone(monitor, 2_000);
  }
}

/**
 * Ends a monitor, its runtime and what they have started so far. All are stopped first: what one of them started last would be nobody's child
 * that can be found, and an exec of nobody would run on in its container.
 */
async function endSetUp(state: string): Promise<void> {
  const found = new Map<number, ProcessIdentity>();
  for (;;) {
    const more = processesOf(state).filter(({ pid, startTime }) => found.get(pid)?.startTime !== startTime);
    if (more.length === 0) break;
    for (const one of more) {
      found.set(one.pid, one);
      signalProcess(one, SIGSTOP);
    }
    await Promise.all(more.map((one) => until(() => isStopped(one), 1_000)));
  }
  for (const one of found.values()) signalProcess(one, SIGKILL);
  await Promise.all([...found.values()].map((one) => gone(one, 2_000)));
}

function isStopped(process: ProcessIdentity): boolean {
  const stat = processStat(process.pid);
  return stat?.startTime !== process.startTime || !["R", "S", "D"].includes(stat.state);
}

/** The monitor that works in a task's directory, its runtime, and what they have started so far. */
function processesOf(state: string): readonly ProcessIdentity[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? processStat(pid)?.parent : undefined;
    if (parent === undefined) continue;
    parents.set(pid, parent);
    try {
      if (readlinkSync(`/proc/${pid}/cwd`) === state) found.add(pid);
    } catch (error) {
      // It ended meanwhile, is a thread of the kernel, or is none of ours: those can be looked at.
      if (!["ENOENT", "ESRCH", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  }
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid);
    return found.has(pid) || (parent !== undefined && parent > 1 && descends(parent));
  };
  return [...parents.keys()].filter(descends).flatMap((pid) => identify(pid) ?? []);
}

/** How long a monitor may take from its process's end to its own; it reads the output to the end in between. */
const LAST_WORD_MS = 10_000;

/** Where a task has just ended, waits until its monitor has recorded how: nobody else knows. */
export async function lastWord(state: string, boot: string): Promise<void> {
  const record = readRecord(state);
  if (record?.boot !== boot || !record.init || isAlive(record.init)) return;
  if (!existsSync(join(state, "exit"))) await gone(record.monitor, LAST_WORD_MS);
}

/** Removes what an earlier run of the same task recorded. */
export function removeStale(state: string): void {
  for (const name of ["exit", "oom", "pid", "monitor.pid"]) rmSync(join(state, name), { force: true });
}

/** There, and no longer empty: not everybody writes a file before it has its name. */
function says(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function pidIn(path: string): ProcessIdentity | undefined {
  if (!existsSync(path)) return undefined;
  const pid = Number.parseInt(readFileSync(path, "latin1"), 10);
  return pid > 1 ? identify(pid) : undefined;
}

/** True when it ended within that time. */
async function gone(process: ProcessIdentity | undefined, ms: number): Promise<boolean> {
  return await until(() => !process || !isAlive(process), ms);
}

async function until(holds: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) return false;
    await Bun.sleep(1);
  }
  return true;
}
