import { existsSync } from "node:fs";
import { join } from "node:path";
import { notFound } from "../../../../base/lib/errors.ts";
import { memoryEventsOf } from "../../../../base/sys/cgroup/cgroup.ts";
import { DirectoryWatcher } from "../../../../base/sys/inotify.ts";
import { isAlive } from "../../../../base/sys/process/pidfd.ts";
import type { TaskDirs, TaskExit, TaskOom } from "../../runtime.ts";
import { noteOom, recordedExit, wasOomKilled } from "./exits.ts";
import type { TaskRecord } from "./task-record.ts";

/** A task this runtime knows of in this daemon's life. */
export class Task {
  readonly id: string;
  readonly dirs: TaskDirs;
  record: TaskRecord;
  exited = false;
  watch: Disposable | undefined;
  /** On its cgroup, until it had an OOM kill. */
  memoryWatch: Disposable | undefined;
  /** It lost its monitor and is being ended. */
  ending = false;
  /** Execs of this container that are being set up. */
  readonly starting = new Set<Promise<unknown>>();

  constructor(id: string, dirs: TaskDirs, record: TaskRecord) {
    this.id = id;
    this.dirs = dirs;
    this.record = record;
  }

  unwatch(): void {
    this.watch?.[Symbol.dispose]();
    this.memoryWatch?.[Symbol.dispose]();
  }

  get alive(): boolean {
    return !this.exited && this.record.init !== undefined && isAlive(this.record.init);
  }
}

export interface TaskTableDeps {
  readonly onError: (error: unknown) => void;
  /**
   * A task whose monitor is gone without having recorded an exit (it was killed, or its file system is full). It records before it
   * ends, so nothing will come any more.
   */
  readonly onOrphan: (task: Task) => Promise<void>;
  /** How often the monitors themselves are looked after. */
  readonly sweepMs: number;
}

/** The tasks by id, the watch on their directories, and who wants to hear of exits and OOM kills. */
export class TaskTable implements AsyncDisposable {
  readonly #deps: TaskTableDeps;
  readonly #tasks = new Map<string, Task>();
  readonly #oomSeen = new WeakSet<Task>();
  readonly #watcher: DirectoryWatcher;
  readonly #exitListeners = new Set<(exit: TaskExit) => void>();
  readonly #oomListeners = new Set<(oom: TaskOom) => void>();
  readonly #sweeper: ReturnType<typeof setInterval>;

  constructor(deps: TaskTableDeps) {
    this.#deps = deps;
    this.#watcher = new DirectoryWatcher(deps.onError);
    this.#sweeper = setInterval(() => this.#sweep(), deps.sweepMs).unref();
  }

  find(id: string): Task | undefined {
    return this.#tasks.get(id);
  }

  get(id: string): Task {
    const task = this.#tasks.get(id);
    if (!task) throw notFound(`No such task: ${id}`);
    return task;
  }

  /** Puts a task in the place of one of the same id that was there. */
  add(task: Task): void {
    this.#tasks.get(task.id)?.unwatch();
    this.#tasks.set(task.id, task);
  }

  remove(task: Task): void {
    task.unwatch();
    if (this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
  }

  /** Reports the task's exit and first OOM kill from now on. */
  watch(task: Task): void {
    task.watch = this.#watcher.watch(task.dirs.state, (name) => {
      if (name === undefined || name === "exit") this.examine(task);
      if (name === undefined || name === "oom") this.#noticeOom(task);
    });
    if (task.record.kind === "container") this.#watchMemory(task);
    // What happened before the watch stood.
    if (existsSync(join(task.dirs.state, "exit"))) queueMicrotask(() => this.examine(task));
  }

  #watchMemory(task: Task): void {
    const { dirs, record } = task;
    const events = memoryEventsOf(record.cgroups);
    // A cgroup that is gone already has no more to tell.
    if (!events || !existsSync(events.directory)) return;
    const look = () => {
      if (task.exited || !noteOom(dirs.state, record.cgroups)) return;
      task.memoryWatch?.[Symbol.dispose]();
      this.#noticeOom(task);
    };
    task.memoryWatch = this.#watcher.watchContents(events.directory, (name) => {
      if (name === undefined || name === events.name) look();
    });
    look();
  }

  /** Looks for a recorded exit now, without waiting for the event that tells of it. */
  examine(task: Task): void {
    if (task.exited) return;
    try {
      const exit = recordedExit(task.id, task.dirs.state, task.record.cgroups);
      if (exit) this.report(task, exit);
    } catch (error) {
      this.#deps.onError(error);
    }
  }

  /** The task has ended: tells everybody, once. */
  report(task: Task, exit: TaskExit): void {
    if (task.exited) return;
    task.exited = true;
    if (exit.oomKilled) this.#noticeOom(task);
    task.unwatch();
    this.#tell(this.#exitListeners, exit);
  }

  /** The container's execs. */
  execsOf(container: Task): readonly Task[] {
    return [...this.#tasks.values()].filter(
      ({ record }) => record.kind === "exec" && record.container === container.id,
    );
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
    clearInterval(this.#sweeper);
    for (const task of this.#tasks.values()) task.unwatch();
    this.#tasks.clear();
    await this.#watcher[Symbol.asyncDispose]();
  }

  /** An exec shares its container's cgroup, which reports for it. */
  #noticeOom(task: Task): void {
    if (task.record.kind === "exec" || this.#oomSeen.has(task)) return;
    if (!wasOomKilled(task.dirs.state, task.record.cgroups)) return;
    this.#oomSeen.add(task);
    this.#tell(this.#oomListeners, { id: task.id });
  }

  /** One listener's failure is not the others' business, nor the watch's. */
  #tell<T>(listeners: ReadonlySet<(event: T) => void>, event: T): void {
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#deps.onError(error);
      }
    }
  }

  /** Once at a time: who looked again would find the init dead already, and tell of an end that nobody knows. */
  #end(task: Task): void {
    task.ending = true;
    this.#deps
      .onOrphan(task)
      .catch(this.#deps.onError)
      .finally(() => {
        task.ending = false;
      });
  }

  #sweep(): void {
    for (const task of [...this.#tasks.values()]) {
      const { monitor } = task.record;
      if (!task.watch || task.exited || task.ending || !monitor || isAlive(monitor)) continue;
      this.examine(task);
      if (!task.exited) this.#end(task);
    }
  }
}
