import { removeCgroup } from "../../../../base/sys/cgroup/cgroup.ts";
import { endScope, scopeOf } from "../../scope.ts";
import { ociTask, type TaskContext } from "./context.ts";
import { wasOomKilled } from "./exits.ts";
import { endProcesses } from "./remains.ts";
import { removeTaskFiles } from "./task-record.ts";
import type { Task } from "./task-table.ts";

const SIGKILL = 9;
const START_GRACE_MS = 3000;

/** Removes all that is left of a task: processes, monitor, runtime state, cgroup, files. */
export async function discardTask(context: TaskContext, task: Task): Promise<void> {
  const { boot, deps, tasks } = context;
  const { record, dirs } = task;
  task.unwatch();
  if (record.boot === boot) {
    await endProcesses(task);
    // Nobody else would tell their clients: the files they end with go with the container's.
    await abandonStarts(context, task);
    await Promise.all(tasks.execsOf(task).map((exec) => endTask(context, exec)));
    if (record.kind === "container") {
      const runtime = deps.runtimes.get(record.runtime);
      if (runtime) await runtime.delete(ociTask(task));
      else removeCgroup(record.cgroups);
      const scope = scopeOf(record.cgroups, task.id);
      if (scope) await endScope(scope, deps.log);
    }
  }
  removeTaskFiles(dirs.state);
  tasks.remove(task);
}

/** Execs that are being set up fail by themselves when their container has ended, unless the runtime hangs. */
async function abandonStarts({ tasks }: TaskContext, container: Task): Promise<void> {
  if (container.starting.size === 0) return;
  const settled = Promise.allSettled(container.starting);
  const late = await Promise.race([settled, Bun.sleep(START_GRACE_MS).then(() => "late" as const)]);
  if (late !== "late") return;
  const hung = tasks.execsOf(container).filter(({ record }) => record.init === undefined);
  await Promise.all(hung.map((exec) => endProcesses(exec)));
  await settled;
}

/** Ends a task and sees to it that its exit is told of, also when its monitor cannot do it any more. */
export async function endTask({ tasks }: TaskContext, task: Task): Promise<void> {
  const { alive } = task;
  await endProcesses(task);
  tasks.examine(task);
  // As containerd tells of a shim that was killed: 137 where it had to kill, else a status that nobody knows.
  const exitCode = alive ? 128 + SIGKILL : 255;
  const oomKilled = wasOomKilled(task.dirs.state, task.record.cgroups);
  tasks.report(task, { id: task.id, exitCode, at: BigInt(Date.now()) * 1_000_000n, oomKilled });
}
