import { readdirSync, readFileSync, renameSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupPaths } from "../../../../base/sys/cgroup/cgroup.ts";
import type { ProcessIdentity } from "../../../../base/sys/process/pidfd.ts";
import { CRIU_DIRECTORY } from "../../criu-environment.ts";

/**
 * What the runtime must know of a task to find it again, as a file of its own in `TaskDirs.state`. The boot id makes a
 * record of an earlier boot void even where the exec root is not volatile: pids and start times repeat then.
 */
export interface TaskRecord {
  readonly kind: "container" | "exec";
  readonly boot: string;
  readonly runtime: string;
  /** Of an exec: the container it runs in. */
  readonly container?: string;
  readonly init?: ProcessIdentity;
  readonly monitor?: ProcessIdentity;
  readonly cgroups: CgroupPaths;
  readonly hooks: boolean;
  /** Stdin ends with the first client that closes it. */
  readonly stdinOnce: boolean;
  readonly started: boolean;
  /** The engine's own words about an exec. */
  readonly note?: string;
}

const FILE = "task.json";
/** Everything that the runtime, conmon and the record itself put into the state directory. */
const FILES: ReadonlySet<string> = new Set([
  "config.json",
  "process.json",
  FILE,
  "pid",
  "monitor.pid",
  "attach",
  "ctl",
  "winsz",
  "exit",
  "oom",
  `${FILE}.new`,
]);

/** conmon's console socket, left behind by a runtime that failed before it connected. */
const CONSOLE = "conmon-term.";

/** Replaces the record at once; a reader sees the old or the new one. */
export function writeRecord(state: string, record: TaskRecord): void {
  const path = join(state, FILE);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The record, `undefined` when there is none or it cannot be understood. */
export function readRecord(state: string): TaskRecord | undefined {
  let text: string;
  try {
    text = readFileSync(join(state, FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const record: unknown = JSON.parse(text);
    return isRecord(record) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Removes the task's files, and the directory when nothing else lies in it. */
export function removeTaskFiles(state: string): void {
  try {
    for (const name of readdirSync(state))
      if (FILES.has(name) || name.startsWith(CONSOLE)) unlinkSync(join(state, name));
      else if (name === CRIU_DIRECTORY) rmSync(join(state, name), { recursive: true, force: true });
    rmdirSync(state);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTEMPTY") throw error;
  }
}

function isRecord(value: unknown): value is TaskRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<TaskRecord>;
  return (
    (record.kind === "container" || record.kind === "exec") &&
    typeof record.boot === "string" &&
    typeof record.runtime === "string" &&
    typeof record.cgroups === "object" &&
    record.cgroups !== null
  );
}
