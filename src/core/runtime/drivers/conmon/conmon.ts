import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { conflict, internal, invalid, notFound } from "../../../../base/lib/errors.ts";
import type { Log } from "../../../../base/lib/log.ts";
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
import { DirectoryWatcher } from "../../../../base/sys/inotify.ts";
import { identify, isAlive, type ProcessIdentity, signalProcess } from "../../../../base/sys/pidfd.ts";
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
import { recordedExit, wasOomKilled } from "./exits.ts";
import { runtimeFailure } from "./failure.ts";
import { startMonitor } from "./monitor.ts";
import { readRecord, removeTaskFiles, type TaskRecord, writeRecord } from "./task-record.ts";

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
}

/** The task runtime over conmon and an OCI runtime. */
export function createTaskRuntime(deps: TaskRuntimeDeps): TaskRuntime & AsyncDisposable {
  return new ConmonRuntime(deps);
}

interface Task {
  readonly id: string;
  readonly dirs: TaskDirs;
  record: TaskRecord;
  watch?: Disposable;
  exited: boolean;
  oomSeen: boolean;
}

const SIGKILL = 9;

class ConmonRuntime implements TaskRuntime, AsyncDisposable {
  readonly name: string;
  readonly #deps: TaskRuntimeDeps;
  readonly #boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  readonly #watcher: DirectoryWatcher;
  readonly #tasks = new Map<string, Task>();
  readonly #exitListeners = new Set<(exit: TaskExit) => void>();
  readonly #oomListeners = new Set<(oom: TaskOom) => void>();

  constructor(deps: TaskRuntimeDeps) {
    this.#deps = deps;
    this.name = deps.defaultRuntime;
    this.#watcher = new DirectoryWatcher((error) =>
      deps.log.error("the watch on container exits failed", { error }),
    );
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
    this.#forget(id);
    mkdirSync(dirs.state, { recursive: true, mode: 0o700 });
    removeStale(dirs.state);
    const known: Task = { id, dirs, record, exited: false, oomSeen: false };
    // Recorded before anything is started: a daemon killed in between finds what to clean up.
    writeRecord(dirs.state, record);
    this.#tasks.set(id, known);
    try {
      const spec = await runtime.prepare(task.spec);
      await writeFile(join(dirs.state, "config.json"), stringifySpec(spec), { mode: 0o600 });
      const result = await startMonitor({
        conmon: this.#deps.conmon,
        runtime,
        container: id,
        task: id,
        directory: dirs.state,
        tty: task.tty,
        stdin: task.openStdin,
        keepStdin: !record.stdinOnce,
        log: ["-l", task.logTarget, ...(task.logLimit > 0 ? ["--log-size-max", String(task.logLimit)] : [])],
        timeoutMs: this.#deps.createTimeoutMs ?? 120_000,
        ...(task.restore ? { restore: task.restore } : {}),
      });
      if ("failure" in result) {
        const program = task.spec.process?.args[0] ?? "";
        throw runtimeFailure(result.failure, { runtime: runtime.name, program, verb: "create" });
      }
      known.record = {
        ...record,
        ...identities(result.pid, result.monitorPid),
        cgroups: this.#cgroupsOf(id, result.pid, cgroups),
        started: task.restore !== undefined,
      };
      writeRecord(dirs.state, known.record);
      this.#watch(known);
      return { id, ...result };
    } catch (error) {
      await this.#discard(known);
      throw error;
    }
  }

  async start(id: string): Promise<void> {
    const task = this.#task(id);
    if (task.exited || !this.#alive(task)) throw internal(`container ${id} ended before it was started`);
    // Recorded first: an init that runs must never be taken for one that waits.
    task.record = { ...task.record, started: true };
    writeRecord(task.dirs.state, task.record);
    await this.#runtime(task.record.runtime).start(this.#ociTask(task));
  }

  async kill(id: string, signal: number, options: { readonly all?: boolean } = {}): Promise<void> {
    const task = this.#task(id);
    const { init, cgroups } = task.record;
    if (!init || task.exited || !isAlive(init)) throw conflict(`Container ${id} is not running`);
    if (options.all) killCgroup(cgroups, signal);
    else if (!signalProcess(init, signal)) throw conflict(`Container ${id} is not running`);
    // A frozen v1 cgroup takes no signal, not even this one, until it is thawed.
    if (signal === SIGKILL && task.record.kind === "container" && freezeState(cgroups) !== "thawed")
      setFrozen(cgroups, false);
  }

  async pause(id: string): Promise<void> {
    await this.#freeze(id, true);
  }

  async resume(id: string): Promise<void> {
    await this.#freeze(id, false);
  }

  async update(id: string, resources: OciResources): Promise<void> {
    const task = this.#task(id);
    await this.#runtime(task.record.runtime).update(this.#ociTask(task), resources);
  }

  async delete(id: string, options: { readonly force: boolean }): Promise<void> {
    const task = this.#tasks.get(id);
    if (!task) return;
    if (!options.force && this.#alive(task)) throw conflict(`Container ${id} is running`);
    await this.#discard(task);
  }

  async observe(id: string, dirs: TaskDirs): Promise<TaskObservation> {
    let task = this.#tasks.get(id);
    if (!task) {
      const record = readRecord(dirs.state);
      if (!record) return { status: "unknown" };
      task = { id, dirs, record, exited: false, oomSeen: false };
      this.#tasks.set(id, task);
      if (record.boot === this.#boot && record.init && existsSync(dirs.state)) this.#watch(task);
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
    const container = this.#task(exec.containerId);
    if (container.exited || !this.#alive(container))
      throw conflict(`container ${exec.containerId} is not running`);
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
    };
    const known: Task = { id, dirs, record, exited: false, oomSeen: true };
    this.#tasks.set(id, known);
    let streams: TaskStreams | undefined;
    const beforeStart = async () => {
      streams = await this.attach(dirs);
    };
    try {
      const processFile = join(dirs.state, "process.json");
      await writeFile(processFile, stringifySpec(exec.process), { mode: 0o600 });
      const result = await startMonitor({
        conmon: this.#deps.conmon,
        runtime,
        container: exec.containerId,
        task: id,
        directory: dirs.state,
        tty: exec.tty,
        stdin: exec.openStdin,
        keepStdin: exec.tty,
        log: ["-l", "none"],
        exec: { processFile, ...(exec.attach ? { beforeStart } : {}) },
        timeoutMs: this.#deps.createTimeoutMs ?? 120_000,
      });
      if ("failure" in result) {
        const program = exec.process.args[0] ?? "";
        throw runtimeFailure(result.failure, { runtime: runtime.name, program, verb: "exec" });
      }
      known.record = { ...record, ...identities(result.pid, result.monitorPid) };
      writeRecord(dirs.state, known.record);
      this.#watch(known);
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
    const task = this.#task(id);
    if (!this.#alive(task)) throw conflict(`Container ${id} is not running`);
    mkdirSync(options.image, { recursive: true, mode: 0o700 });
    await this.#runtime(task.record.runtime).checkpoint(this.#ociTask(task), options);
  }

  async pids(id: string): Promise<readonly number[]> {
    return cgroupPids(this.#task(id).record.cgroups);
  }

  cgroups(id: string): CgroupPaths {
    return this.#task(id).record.cgroups;
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
    await control(dirs, `1 ${size.rows} ${size.columns}\n`);
  }

  async reopenLog(dirs: TaskDirs): Promise<void> {
    await control(dirs, "2 0 0\n");
  }

  onExit(listener: (exit: TaskExit) => void): Disposable {
    this.#exitListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#exitListeners.delete(listener) };
  }

  onOom(listener: (oom: TaskOom) => void): Disposable {
    this.#oomListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#oomListeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.#tasks.values()) task.watch?.[Symbol.dispose]();
    this.#tasks.clear();
    await this.#watcher[Symbol.asyncDispose]();
  }

  #runtime(name: string | undefined): OciRuntime {
    const wanted = name || this.#deps.defaultRuntime;
    const runtime = this.#deps.runtimes.get(wanted);
    if (!runtime) throw invalid(`unknown or invalid runtime name: ${wanted}`);
    return runtime;
  }

  #task(id: string): Task {
    const task = this.#tasks.get(id);
    if (!task) throw notFound(`No such task: ${id}`);
    return task;
  }

  #alive(task: Task): boolean {
    return task.record.init !== undefined && isAlive(task.record.init);
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

  #watch(task: Task): void {
    task.watch = this.#watcher.watch(task.dirs.state, (name) => {
      if (name === undefined || name === "exit") this.#noticeExit(task);
      if ((name === undefined || name === "oom") && !task.oomSeen) this.#noticeOom(task);
    });
    // What happened before the watch stood.
    if (existsSync(join(task.dirs.state, "exit"))) queueMicrotask(() => this.#noticeExit(task));
  }

  #noticeExit(task: Task): void {
    if (task.exited) return;
    const exit = recordedExit(task.id, task.dirs.state, task.record.cgroups);
    if (!exit) return;
    task.exited = true;
    if (exit.oomKilled && !task.oomSeen) this.#noticeOom(task);
    task.watch?.[Symbol.dispose]();
    for (const listener of [...this.#exitListeners]) listener(exit);
  }

  #noticeOom(task: Task): void {
    if (!wasOomKilled(task.dirs.state, task.record.cgroups)) return;
    task.oomSeen = true;
    for (const listener of [...this.#oomListeners]) listener({ id: task.id });
  }

  async #freeze(id: string, frozen: boolean): Promise<void> {
    const task = this.#task(id);
    if (!this.#alive(task)) throw conflict(`Container ${id} is not running`);
    const { cgroups } = task.record;
    if (!setFrozen(cgroups, frozen)) throw internal("the cgroup freezer is not available");
    const wanted = frozen ? "frozen" : "thawed";
    for (let round = 1; freezeState(cgroups) !== wanted; round++) {
      if (round > 300) {
        setFrozen(cgroups, false);
        throw internal(`unable to ${frozen ? "freeze" : "thaw"}`);
      }
      // v1 gives no event, misses tasks that are being forked, and stays FREEZING for ever when a thread waits in execve for
      // frozen siblings: it is asked again, and now and then let go for a moment.
      if (frozen && round % 20 === 0) {
        setFrozen(cgroups, false);
        await Bun.sleep(10);
      }
      if (frozen) setFrozen(cgroups, true);
      await Bun.sleep(round < 60 ? 1 : 10);
    }
  }

  #forget(id: string): void {
    const task = this.#tasks.get(id);
    task?.watch?.[Symbol.dispose]();
    this.#tasks.delete(id);
  }

  /** Removes all that is left of a task: processes, monitor, runtime state, cgroup, files. */
  async #discard(task: Task): Promise<void> {
    const { record, dirs, id } = task;
    task.watch?.[Symbol.dispose]();
    if (record.boot === this.#boot) {
      const init = record.init ?? pidIn(join(dirs.state, "pid"));
      const monitor = record.monitor ?? pidIn(join(dirs.state, "monitor.pid"));
      if (record.kind === "container") killCgroup(record.cgroups, SIGKILL);
      if (record.kind === "container" && freezeState(record.cgroups) !== "thawed")
        setFrozen(record.cgroups, false);
      if (init) signalProcess(init, SIGKILL);
      // conmon ends by itself once its process has; one without a process (half-created) does not.
      await gone([init], 5_000);
      if (monitor && !(await gone([monitor], 2_000))) signalProcess(monitor, SIGKILL);
      if (record.kind === "container") {
        const runtime = this.#deps.runtimes.get(record.runtime);
        if (runtime) await runtime.delete(this.#ociTask(task));
        else removeCgroup(record.cgroups);
      }
    }
    removeTaskFiles(dirs.state);
    if (this.#tasks.get(id) === task) this.#tasks.delete(id);
  }

  /** The cgroups that are this container's alone: a path that does not name it is never touched. */
  #cgroupsFor(id: string, spec: OciSpec): CgroupPaths {
    const path = (spec["linux"] as { cgroupsPath?: unknown } | undefined)?.cgroupsPath;
    if (typeof path !== "string" || !path.startsWith("/") || !basename(path).includes(id)) return {};
    return cgroupPathsFor(this.#deps.hierarchy, path);
  }

  #cgroupsOf(id: string, pid: number, planned: CgroupPaths): CgroupPaths {
    if (Object.keys(planned).length > 0) return planned;
    const found = Object.entries(cgroupsOf(this.#deps.hierarchy, pid) ?? {});
    return Object.fromEntries(found.filter(([, path]) => basename(path).includes(id)));
  }
}

function identities(pid: number, monitorPid: number): { init?: ProcessIdentity; monitor?: ProcessIdentity } {
  // An exec may have ended already: then only its exit file speaks.
  const init = identify(pid) ?? { pid, startTime: "" };
  const monitor = identify(monitorPid) ?? { pid: monitorPid, startTime: "" };
  return { init, monitor };
}

function pidIn(path: string): ProcessIdentity | undefined {
  if (!existsSync(path)) return undefined;
  const pid = Number.parseInt(readFileSync(path, "latin1"), 10);
  return pid > 1 ? identify(pid) : undefined;
}

/** True when all of them ended within that time. */
async function gone(processes: readonly (ProcessIdentity | undefined)[], ms: number): Promise<boolean> {
  for (let waited = 0; ; waited++) {
    if (processes.every((process) => !process || !isAlive(process))) return true;
    if (waited >= ms) return false;
    await Bun.sleep(1);
  }
}

function removeStale(state: string): void {
  for (const name of ["exit", "oom", "pid", "monitor.pid"]) rmSync(join(state, name), { force: true });
}

function hasHooks(spec: OciSpec): boolean {
  const hooks = spec["hooks"];
  if (typeof hooks !== "object" || hooks === null) return false;
  return Object.values(hooks).some((list) => Array.isArray(list) && list.length > 0);
}

/** Writes a line to conmon's control fifo; without a reader the monitor is gone. */
async function control(dirs: TaskDirs, line: string): Promise<void> {
  const O_WRONLY_NONBLOCK = 0o4001;
  try {
    const fifo = await open(join(dirs.state, "ctl"), O_WRONLY_NONBLOCK);
    try {
      await fifo.write(line);
    } finally {
      await fifo.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENXIO" || code === "ENOENT")
      throw conflict("the container's monitor is not running", error);
    throw error;
  }
}
