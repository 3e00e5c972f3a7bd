import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NewExec, RunningExec, TaskStreams } from "../../runtime.ts";
import { stringifySpec } from "../../spec/stringify.ts";
import { attachTask } from "./attach.ts";
import { createTimeoutMs, ociTask, runtimeNamed, type TaskContext } from "./context.ts";
import { discardTask } from "./ending.ts";
import { runtimeFailure } from "./failure.ts";
import { startMonitor } from "./monitor.ts";
import { identities } from "./remains.ts";
import { type TaskRecord, writeRecord } from "./task-record.ts";
import { Task } from "./task-table.ts";

/** Runs another process in a container that runs. */
export async function startExec(context: TaskContext, container: Task, exec: NewExec): Promise<RunningExec> {
  const runtime = runtimeNamed(context, container.record.runtime);
  const { id, dirs } = exec;
  mkdirSync(dirs.state, { recursive: true, mode: 0o700 });
  const record: TaskRecord = {
    kind: "exec",
    boot: context.boot,
    runtime: runtime.name,
    container: exec.containerId,
    cgroups: container.record.cgroups,
    hooks: false,
    stdinOnce: !exec.tty,
    started: true,
    ...(exec.note === undefined ? {} : { note: exec.note }),
  };
  const known = new Task(id, dirs, record);
  // Before anything is started, as for a container.
  writeRecord(dirs.state, record);
  context.tasks.add(known);
  let streams: TaskStreams | undefined;
  const beforeStart = async () => {
    streams = await attachTask(dirs);
  };
  try {
    const processFile = join(dirs.state, "process.json");
    const command = runtime.execCommand(ociTask(container));
    if (command.moves) context.moves.ready();
    await writeFile(processFile, stringifySpec(exec.process), { mode: 0o600 });
    const result = await startMonitor({
      conmon: context.deps.conmon,
      runtime: runtime.name,
      command,
      container: exec.containerId,
      task: id,
      directory: dirs.state,
      tty: exec.tty,
      stdin: exec.openStdin,
      keepStdin: exec.tty,
      log: ["-l", "none"],
      exec: { processFile, ...(exec.attach ? { beforeStart } : {}) },
      timeoutMs: createTimeoutMs(context),
    });
    if ("failure" in result) {
      const program = exec.process.args[0] ?? "";
      throw runtimeFailure(result.failure, { runtime: runtime.name, program, verb: "exec" });
    }
    // Now that it is in the others: a busy machine may take longer to start it than the moment that is waited for here.
    if (!command.moves) context.moves.joinUnified(container.record.cgroups);
    context.keepNullDevice();
    known.record = { ...record, ...identities(result.pid, result.monitorPid) };
    writeRecord(dirs.state, known.record);
    context.tasks.watch(known);
    return { id, ...result, ...(streams ? { streams } : {}) };
  } catch (error) {
    await streams?.[Symbol.asyncDispose]();
    await discardTask(context, known);
    throw error;
  }
}
