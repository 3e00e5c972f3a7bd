import { mkdirSync } from "node:fs";
import { conflict, internal, invalid } from "../../../../base/lib/errors.ts";
import { bootId } from "../../../../base/sys/boot-id.ts";
import {
  type CgroupPaths,
  cgroupPids,
  freezeState,
  killCgroup,
  setFrozen,
} from "../../../../base/sys/cgroup/cgroup.ts";
import { CgroupMoves } from "../../../../base/sys/cgroup/moves.ts";
import { isAlive, signalProcess } from "../../../../base/sys/process/pidfd.ts";
import type {
  NewExec,
  NewTask,
  OciResources,
  RunningExec,
  RunningTask,
  TaskDirs,
  TaskExit,
  TaskObservation,
  TaskOom,
  TaskRuntime,
  TaskStreams,
} from "../../runtime.ts";
import { attachTask } from "./attach.ts";
import { ociTask, runtimeNamed, type TaskContext, type TaskRuntimeDeps } from "./context.ts";
import { control } from "./control.ts";
import { createTask } from "./create.ts";
import { discardTask, endTask } from "./ending.ts";
import { startExec } from "./exec.ts";
import { recordedExit } from "./exits.ts";
import { freeze } from "./freeze.ts";
import { nullDeviceKeeper } from "./null-device.ts";
import { lastWord } from "./remains.ts";
import { readRecord, writeRecord } from "./task-record.ts";
import { Task, TaskTable } from "./task-table.ts";

/** The task runtime over conmon and an OCI runtime. */
export function createTaskRuntime(deps: TaskRuntimeDeps): TaskRuntime & AsyncDisposable {
  return new ConmonRuntime(deps);
}

const SIGKILL = 9;

/** Operations of a line or two, and what a daemon finds of tasks; the others are a file each. */
class ConmonRuntime implements TaskRuntime, AsyncDisposable {
  readonly name: string;
  readonly #context: TaskContext;
  readonly #tasks: TaskTable;

  constructor(deps: TaskRuntimeDeps) {
    this.name = deps.defaultRuntime;
    this.#tasks = new TaskTable({
      onError: (error) => deps.log.error("watching over containers", { error }),
      onOrphan: async (task) => {
        deps.log.warn("a task lost its monitor, ending it", { id: task.id });
        await endTask(this.#context, task);
      },
      sweepMs: deps.sweepMs ?? 5000,
    });
    this.#context = {
      deps,
      boot: bootId(),
      tasks: this.#tasks,
      moves: new CgroupMoves(deps.hierarchy),
      keepNullDevice: nullDeviceKeeper(),
    };
  }

  create(task: NewTask): Promise<RunningTask> {
    return createTask(this.#context, task);
  }

  async start(id: string): Promise<void> {
    const task = this.#tasks.get(id);
    if (!task.alive) throw internal(`container ${id} ended before it was started`);
    // Recorded first: an init that runs must never be taken for one that waits.
    task.record = { ...task.record, started: true };
    writeRecord(task.dirs.state, task.record);
    await runtimeNamed(this.#context, task.record.runtime).start(ociTask(task));
  }

  async kill(id: string, signal: number, options: { readonly all?: boolean } = {}): Promise<void> {
    const { record } = this.#running(id);
    const { init, cgroups } = record;
    if (options.all) killCgroup(cgroups, signal);
    else if (!init || !signalProcess(init, signal)) throw conflict(`Container ${id} is not running`);
    // A frozen v1 cgroup takes no signal, not even this one, until it is thawed.
    if (signal === SIGKILL && record.kind === "container" && freezeState(cgroups) !== "thawed")
      setFrozen(cgroups, false);
  }

  async pause(id: string): Promise<void> {
    await freeze(this.#running(id).record.cgroups, true);
  }

  async resume(id: string): Promise<void> {
    await freeze(this.#running(id).record.cgroups, false);
  }

  async update(id: string, resources: OciResources): Promise<void> {
    const task = this.#tasks.get(id);
    await runtimeNamed(this.#context, task.record.runtime).update(ociTask(task), resources);
  }

  async delete(id: string, options: { readonly force: boolean }): Promise<void> {
    const task = this.#tasks.find(id);
    if (!task) return;
    if (!options.force && task.alive) throw conflict(`Container ${id} is running`);
    await discardTask(this.#context, task);
  }

  async observe(id: string, dirs: TaskDirs): Promise<TaskObservation & { readonly note?: string }> {
    // Before it is watched: the exit is then told of here, and not to the listeners as well.
    if (!this.#tasks.find(id)) await lastWord(dirs.state, this.#context.boot);
    const seen = this.#observe(id, dirs);
    const note = this.#tasks.find(id)?.record.note;
    return note === undefined ? seen : { ...seen, note };
  }

  #observe(id: string, dirs: TaskDirs): TaskObservation {
    let task = this.#tasks.find(id);
    if (!task) {
      const found = readRecord(dirs.state);
      if (!found) return { status: "unknown" };
      task = new Task(id, dirs, found);
      this.#tasks.add(task);
      if (found.boot === this.#context.boot && found.init) this.#tasks.watch(task);
    }
    const { record } = task;
    if (record.boot !== this.#context.boot) return { status: "unknown" };
    const exit = recordedExit(id, dirs.state, record.cgroups);
    if (exit) {
      task.exited = true;
      return { status: "exited", exitCode: exit.exitCode, at: exit.at, oomKilled: exit.oomKilled };
    }
    const { init, monitor } = record;
    if (!init || !monitor || !isAlive(init)) return { status: "unknown" };
    const pids = { pid: init.pid, monitorPid: monitor.pid };
    if (!record.started) return { status: "created", ...pids };
    return { status: "running", ...pids, paused: freezeState(record.cgroups) !== "thawed" };
  }

  async exec(exec: NewExec): Promise<RunningExec> {
    const container = this.#tasks.get(exec.containerId);
    if (!container.alive) throw conflict(`container ${exec.containerId} is not running`);
    const starting = startExec(this.#context, container, exec);
    container.starting.add(starting);
    try {
      return await starting;
    } finally {
      container.starting.delete(starting);
    }
  }

  async checkpoint(
    id: string,
    options: { readonly image: string; readonly leaveRunning: boolean },
  ): Promise<void> {
    const task = this.#running(id);
    mkdirSync(options.image, { recursive: true, mode: 0o700 });
    await runtimeNamed(this.#context, task.record.runtime).checkpoint(ociTask(task), options);
  }

  async pids(id: string): Promise<readonly number[]> {
    return cgroupPids(this.#tasks.get(id).record.cgroups);
  }

  cgroups(id: string): CgroupPaths {
    return this.#tasks.get(id).record.cgroups;
  }

  attach(dirs: TaskDirs, options?: { readonly stdin: boolean }): Promise<TaskStreams> {
    return attachTask(dirs, options);
  }

  async resize(dirs: TaskDirs, size: { readonly rows: number; readonly columns: number }): Promise<void> {
    const valid = (value: number) => Number.isInteger(value) && value >= 0 && value <= 0xffff;
    if (!valid(size.rows) || !valid(size.columns)) throw invalid("invalid terminal size");
    await control(dirs.state, `1 ${size.rows} ${size.columns}\n`);
  }

  async reopenLog(dirs: TaskDirs): Promise<void> {
    await control(dirs.state, "2 0 0\n");
  }

  onExit(listener: (exit: TaskExit) => void): Disposable {
    return this.#tasks.onExit(listener);
  }

  onOom(listener: (oom: TaskOom) => void): Disposable {
    return this.#tasks.onOom(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tasks[Symbol.asyncDispose]();
  }

  #running(id: string): Task {
    const task = this.#tasks.get(id);
    if (!task.alive) {
      this.#tasks.examine(task);
      throw conflict(`Container ${id} is not running`);
    }
    return task;
  }
}
