import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { internal } from "../../../../base/lib/errors.ts";
import { APPARMOR_PROFILE, keepApparmorProfile } from "../../apparmor.ts";
import { criuReason } from "../../criu-log.ts";
import type { NewTask, OciSpec, RunningTask } from "../../runtime.ts";
import { scopeOf } from "../../scope.ts";
import { stringifySpec } from "../../spec/stringify.ts";
import { createTimeoutMs, runtimeNamed, type TaskContext } from "./context.ts";
import { discardTask } from "./ending.ts";
import { runtimeFailure } from "./failure.ts";
import { missedTerminal, startMonitor } from "./monitor.ts";
import { actualCgroups, plannedCgroups } from "./own-cgroups.ts";
import { identities, removeStale } from "./remains.ts";
import { type TaskRecord, writeRecord } from "./task-record.ts";
import { Task } from "./task-table.ts";

/** Sets a container's task up: it waits for `start`. */
export async function createTask(context: TaskContext, task: NewTask): Promise<RunningTask> {
  const attempt = { terminalLost: false };
  try {
    return await setUpTask(context, task, attempt);
  } catch (error) {
    if (!attempt.terminalLost || task.restore) throw error;
    context.deps.log.warn("the monitor missed the container's terminal: once more", { id: task.id });
  }
  // Nothing of the container has run yet, and nothing is left of it.
  return await setUpTask(context, task, attempt);
}

async function setUpTask(
  context: TaskContext,
  task: NewTask,
  attempt: { terminalLost: boolean },
): Promise<RunningTask> {
  const { id, dirs } = task;
  const runtime = runtimeNamed(context, task.runtime);
  const cgroups = plannedCgroups(context.deps.hierarchy, id, task.spec);
  const record: TaskRecord = {
    kind: "container",
    boot: context.boot,
    runtime: runtime.name,
    cgroups,
    hooks: hasHooks(task.spec),
    stdinOnce: task.stdinOnce && !task.tty,
    started: false,
  };
  mkdirSync(dirs.state, { recursive: true, mode: 0o700 });
  removeStale(dirs.state);
  const known = new Task(id, dirs, record);
  context.moves.ready();
  // Recorded before anything is started: a daemon killed in between finds what to clean up.
  writeRecord(dirs.state, record);
  context.tasks.add(known);
  try {
    if (task.spec.process?.apparmorProfile === APPARMOR_PROFILE) await keepApparmorProfile(context.deps.log);
    const spec = await runtime.prepare(task.spec);
    await writeFile(join(dirs.state, "config.json"), stringifySpec(spec), { mode: 0o600 });
    const result = await startMonitor({
      conmon: context.deps.conmon,
      runtime: runtime.name,
      command: runtime.command(),
      container: id,
      task: id,
      directory: dirs.state,
      scope: scopeOf(cgroups, id),
      tty: task.tty,
      stdin: task.openStdin,
      keepStdin: !record.stdinOnce,
      log: ["-l", task.logTarget, ...(task.logLimit > 0 ? ["--log-size-max", String(task.logLimit)] : [])],
      timeoutMs: createTimeoutMs(context),
      ...(task.restore ? { restore: task.restore } : {}),
    });
    if ("failure" in result) {
      attempt.terminalLost = task.tty && missedTerminal(result.failure);
      // The runtime only says where CRIU's log is, which goes with the task.
      const reason = task.restore ? criuReason(dirs.state, "restore.log") : "";
      if (reason !== "") throw internal(`Cannot restore container ${id}: criu: ${reason}`);
      const program = task.spec.process?.args[0] ?? "";
      throw runtimeFailure(result.failure, { runtime: runtime.name, program, verb: "create" });
    }
    // Before the container's program runs.
    context.keepNullDevice();
    known.record = {
      ...record,
      ...identities(result.pid, result.monitorPid),
      cgroups: actualCgroups(context.deps.hierarchy, id, result.pid, cgroups),
      started: task.restore !== undefined,
    };
    writeRecord(dirs.state, known.record);
    context.tasks.watch(known);
    return { id, ...result };
  } catch (error) {
    await discardTask(context, known);
    throw error;
  }
}

function hasHooks(spec: OciSpec): boolean {
  const hooks = spec["hooks"];
  if (typeof hooks !== "object" || hooks === null) return false;
  return Object.values(hooks).some((list) => Array.isArray(list) && list.length > 0);
}
