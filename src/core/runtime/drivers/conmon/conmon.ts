import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { conflict, internal, invalid } from "../../../../base/lib/errors.ts";
import type { Log } from "../../../../base/lib/log.ts";
import { bootId } from "../../../../base/sys/boot-id.ts";
import {
  type CgroupHierarchy,
  type CgroupPaths,
  cgroupPathsFor,
  cgroupPids,
  cgroupsOf,
  freezeState,
  killCgroup,
  removeCgroup,
  setFrozen,
} from "../../../../base/sys/cgroup.ts";
import { CgroupMoves } from "../../../../base/sys/cgroup-moves.ts";
import { isAlive, signalProcess } from "../../../../base/sys/pidfd.ts";
import { APPARMOR_PROFILE, keepApparmorProfile } from "../../apparmor.ts";
import { cgroupDirectory, inScopeOf } from "../../cgroup-driver.ts";
import { criuReason } from "../../criu-log.ts";
import type { OciRuntime, OciTask } from "../../oci.ts";
import type {
  NewExec,
  NewTask,
  OciResources,
  OciSpec,
  RunningExec,
  RunningTask,
  TaskDirs,
  TaskExit,
  TaskObservation,
  TaskOom,
  TaskRuntime,
  TaskStreams,
} from "../../runtime.ts";
import { stringifySpec } from "../../spec/stringify.ts";
import { openStreams } from "./attach.ts";
import { control } from "./control.ts";
import { recordedExit, wasOomKilled } from "./exits.ts";
import { runtimeFailure } from "./failure.ts";
import { freeze } from "./freeze.ts";
import { startMonitor } from "./monitor.ts";
import { nullDeviceKeeper } from "./null-device.ts";
import { endProcesses, identities, removeStale } from "./remains.ts";
import { readRecord, removeTaskFiles, type TaskRecord, writeRecord } from "./task-record.ts";
import { Task, TaskTable } from "./task-table.ts";

export interface TaskRuntimeDeps {
  /** conmon's program, absolute. */
  readonly conmon: string;
  /** By name, as HostConfig.Runtime asks for them. */
  readonly runtimes: ReadonlyMap<string, OciRuntime>;
  readonly defaultRuntime: string;
  readonly hierarchy: CgroupHierarchy;
  readonly log: Log;
  /** How long a runtime may take to create a container before it counts as hung. */
  readonly createTimeoutMs?: number;
  /** How often to look for containers that ended without their monitor saying so. */
  readonly sweepMs?: number;
}

/** The task runtime over conmon and an OCI runtime. */
export function createTaskRuntime(deps: TaskRuntimeDeps): TaskRuntime & AsyncDisposable {
  return new ConmonRuntime(deps);
}

const SIGKILL = 9;
const START_GRACE_MS = 3000;

class ConmonRuntime implements TaskRuntime, AsyncDisposable {
  readonly name: string;
  readonly #deps: TaskRuntimeDeps;
  readonly #boot = bootId();
  readonly #tasks: TaskTable;
  readonly #keepNullDevice = nullDeviceKeeper();
  readonly #moves: CgroupMoves;

  constructor(deps: TaskRuntimeDeps) {
    this.#deps = deps;
    this.name = deps.defaultRuntime;
    this.#moves = new CgroupMoves(deps.hierarchy);
    this.#tasks = new TaskTable({
      onError: (error) => deps.log.error("watching over containers", { error }),
      onOrphan: (task) => {
        deps.log.warn("a task lost its monitor, ending it", { id: task.id });
        this.#end(task).catch((error: unknown) => deps.log.error("ending a task", { id: task.id, error }));
      },
      sweepMs: deps.sweepMs ?? 5000,
    });
  }

  async create(task: NewTask): Promise<RunningTask> {
    const { id, dirs } = task;
    const runtime = this.#runtime(task.runtime);
    const cgroups = this.#cgroupsFor(id, task.spec);
    const record: TaskRecord = {
      kind: "container",
      boot: this.#boot,
      runtime: runtime.name,
      cgroups,
      hooks: hasHooks(task.spec),
      stdinOnce: task.stdinOnce && !task.tty,
      started: false,
    };
    mkdirSync(dirs.state, { recursive: true, mode: 0o700 });
    removeStale(dirs.state);
    const known = new Task(id, dirs, record);
    this.#moves.ready();
    // Recorded before anything is started: a daemon killed in between finds what to clean up.
    writeRecord(dirs.state, record);
    this.#tasks.add(known);
    try {
      if (task.spec.process?.apparmorProfile === APPARMOR_PROFILE) await keepApparmorProfile(this.#deps.log);
      const spec = await runtime.prepare(task.spec);
      await writeFile(join(dirs.state, "config.json"), stringifySpec(spec), { mode: 0o600 });
      const result = await startMonitor({
        conmon: this.#deps.conmon,
        runtime: runtime.name,
        command: runtime.command(),
        container: id,
        task: id,
        directory: dirs.state,
        tty: task.tty,
        stdin: task.openStdin,
        keepStdin: !record.stdinOnce,
        log: ["-l", task.logTarget, ...(task.logLimit > 0 ? ["--log-size-max", String(task.logLimit)] : [])],
        timeoutMs: this.#deps.createTimeoutMs ?? 60_000,
        ...(task.restore ? { restore: task.restore } : {}),
      });
      if ("failure" in result) {
        // The runtime only says where CRIU's log is, which goes with the task.
        const reason = task.restore ? criuReason(dirs.state, "restore.log") : "";
        if (reason !== "") throw internal(`Cannot restore container ${id}: criu: ${reason}`);
        const program = task.spec.process?.args[0] ?? "";
        throw runtimeFailure(result.failure, { runtime: runtime.name, program, verb: "create" });
      }
      // Before the container's program runs.
      this.#keepNullDevice();
      known.record = {
        ...record,
        ...identities(result.pid, result.monitorPid),
        cgroups: this.#cgroupsOf(id, result.pid, cgroups),
        started: task.restore !== undefined,
      };
      writeRecord(dirs.state, known.record);
      this.#tasks.watch(known);
      return { id, ...result };
    } catch (error) {
      await this.#discard(known);
      throw error;
    }
  }

  async start(id: string): Promise<void> {
    const task = this.#tasks.get(id);
    if (!task.alive) throw internal(`container ${id} ended before it was started`);
    // Recorded first: an init that runs must never be taken for one that waits.
    task.record = { ...task.record, started: true };
    writeRecord(task.dirs.state, task.record);
    await this.#runtime(task.record.runtime).start(this.#ociTask(task));
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
    await this.#runtime(task.record.runtime).update(this.#ociTask(task), resources);
  }

  async delete(id: string, options: { readonly force: boolean }): Promise<void> {
    const task = this.#tasks.find(id);
    if (!task) return;
    if (!options.force && task.alive) throw conflict(`Container ${id} is running`);
    await this.#discard(task);
  }

  async observe(id: string, dirs: TaskDirs): Promise<TaskObservation & { readonly note?: string }> {
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
      if (found.boot === this.#boot && found.init) this.#tasks.watch(task);
    }
    const { record } = task;
    if (record.boot !== this.#boot) return { status: "unknown" };
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
    const starting = this.#startExec(container, exec);
    container.starting.add(starting);
    try {
      return await starting;
    } finally {
      container.starting.delete(starting);
    }
  }

  async #startExec(container: Task, exec: NewExec): Promise<RunningExec> {
    const runtime = this.#runtime(container.record.runtime);
    const { id, dirs } = exec;
    mkdirSync(dirs.state, { recursive: true, mode: 0o700 });
    const record: TaskRecord = {
      kind: "exec",
      boot: this.#boot,
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
    this.#tasks.add(known);
    let streams: TaskStreams | undefined;
    const beforeStart = async () => {
      streams = await this.attach(dirs);
    };
    try {
      const processFile = join(dirs.state, "process.json");
      const command = runtime.execCommand(this.#ociTask(container));
      if (command.moves) this.#moves.ready();
      else this.#moves.joinUnified(container.record.cgroups);
      await writeFile(processFile, stringifySpec(exec.process), { mode: 0o600 });
      const result = await startMonitor({
        conmon: this.#deps.conmon,
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
        timeoutMs: this.#deps.createTimeoutMs ?? 60_000,
      });
      if ("failure" in result) {
        const program = exec.process.args[0] ?? "";
        throw runtimeFailure(result.failure, { runtime: runtime.name, program, verb: "exec" });
      }
      this.#keepNullDevice();
      known.record = { ...record, ...identities(result.pid, result.monitorPid) };
      writeRecord(dirs.state, known.record);
      this.#tasks.watch(known);
      return { id, ...result, ...(streams ? { streams } : {}) };
    } catch (error) {
      await streams?.[Symbol.asyncDispose]();
      await this.#discard(known);
      throw error;
    }
  }

  async checkpoint(
    id: string,
    options: { readonly image: string; readonly leaveRunning: boolean },
  ): Promise<void> {
    const task = this.#running(id);
    mkdirSync(options.image, { recursive: true, mode: 0o700 });
    await this.#runtime(task.record.runtime).checkpoint(this.#ociTask(task), options);
  }

  async pids(id: string): Promise<readonly number[]> {
    return cgroupPids(this.#tasks.get(id).record.cgroups);
  }

  cgroups(id: string): CgroupPaths {
    return this.#tasks.get(id).record.cgroups;
  }

  async attach(dirs: TaskDirs, options = { stdin: true }): Promise<TaskStreams> {
    let record = readRecord(dirs.state);
    const alive = () => {
      // An exec's pid is recorded after its streams were opened.
      if (!record?.init) record = readRecord(dirs.state);
      return record?.init === undefined || isAlive(record.init);
    };
    const linger = !options.stdin && record?.stdinOnce === true;
    return await openStreams(join(dirs.state, "attach"), { alive, linger });
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

  #runtime(name: string | undefined): OciRuntime {
    const wanted = name || this.#deps.defaultRuntime;
    const runtime = this.#deps.runtimes.get(wanted);
    if (!runtime) throw invalid(`unknown or invalid runtime name: ${wanted}`);
    return runtime;
  }

  #running(id: string): Task {
    const task = this.#tasks.get(id);
    if (!task.alive) {
      this.#tasks.examine(task);
      throw conflict(`Container ${id} is not running`);
    }
    return task;
  }

  #ociTask(task: Task): OciTask {
    const { record } = task;
    return {
      id: task.id,
      pid: record.init?.pid ?? 0,
      bundle: task.dirs.state,
      cgroups: record.cgroups,
      hooks: record.hooks,
    };
  }

  /** Removes all that is left of a task: processes, monitor, runtime state, cgroup, files. */
  async #discard(task: Task): Promise<void> {
    const { record, dirs } = task;
    task.unwatch();
    if (record.boot === this.#boot) {
      await endProcesses(task);
      // Nobody else would tell their clients: the files they end with go with the container's.
      await this.#abandonStarts(task);
      await Promise.all(this.#tasks.execsOf(task).map((exec) => this.#end(exec)));
      if (record.kind === "container") {
        const runtime = this.#deps.runtimes.get(record.runtime);
        if (runtime) await runtime.delete(this.#ociTask(task));
        else removeCgroup(record.cgroups);
      }
    }
    removeTaskFiles(dirs.state);
    this.#tasks.remove(task);
  }

  /** Execs that are being set up fail by themselves when their container has ended, unless the runtime hangs. */
  async #abandonStarts(container: Task): Promise<void> {
    if (container.starting.size === 0) return;
    const settled = Promise.allSettled(container.starting);
    const late = await Promise.race([settled, Bun.sleep(START_GRACE_MS).then(() => "late" as const)]);
    if (late !== "late") return;
    const hung = this.#tasks.execsOf(container).filter(({ record }) => record.init === undefined);
    await Promise.all(hung.map((exec) => endProcesses(exec)));
    await settled;
  }

  /** Ends a task and sees to it that its exit is told of, also when its monitor cannot do it any more. */
  async #end(task: Task): Promise<void> {
    const { alive } = task;
    await endProcesses(task);
    this.#tasks.examine(task);
    // As containerd tells of a shim that was killed: 137 where it had to kill, else a status that nobody knows.
    const exitCode = alive ? 128 + SIGKILL : 255;
    const oomKilled = wasOomKilled(task.dirs.state, task.record.cgroups);
    this.#tasks.report(task, { id: task.id, exitCode, at: BigInt(Date.now()) * 1_000_000n, oomKilled });
  }

  /** The cgroups that are this container's alone: a path that does not name it is never touched. */
  #cgroupsFor(id: string, spec: OciSpec): CgroupPaths {
    const path = (spec["linux"] as { cgroupsPath?: unknown } | undefined)?.cgroupsPath;
    const directory = typeof path === "string" ? cgroupDirectory(path) : undefined;
    if (directory === undefined || !basename(directory).includes(id)) return {};
    return cgroupPathsFor(this.#deps.hierarchy, directory);
  }

  #cgroupsOf(id: string, pid: number, planned: CgroupPaths): CgroupPaths {
    const found = Object.entries(cgroupsOf(this.#deps.hierarchy, pid) ?? {});
    const scoped = found.filter(([, path]) => inScopeOf(path, id));
    if (scoped.length > 0) return Object.fromEntries(scoped);
    if (Object.keys(planned).length > 0) return planned;
    return Object.fromEntries(found.filter(([, path]) => basename(path).includes(id)));
  }
}

function hasHooks(spec: OciSpec): boolean {
  const hooks = spec["hooks"];
  if (typeof hooks !== "object" || hooks === null) return false;
  return Object.values(hooks).some((list) => Array.isArray(list) && list.length > 0);
}
