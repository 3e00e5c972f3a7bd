import { existsSync } from "node:fs";
import { join } from "node:path";
import { notFound } from "../../../../base/lib/errors.ts";
import { DirectoryWatcher } from "../../../../base/sys/inotify.ts";
import { isAlive } from "../../../../base/sys/pidfd.ts";
import type { TaskDirs, TaskExit, TaskOom } from "../../runtime.ts";
import { recordedExit, wasOomKilled } from "./exits.ts";
import type { TaskRecord } from "./task-record.ts";

/** A task this runtime knows of in this daemon's life. */
export class Task {
  readonly id: string;
  readonly dirs: TaskDirs;
  record: TaskRecord;
  exited = false;
  watch: Disposable | undefined;

  constructor(id: string, dirs: TaskDirs, record: TaskRecord) {
    this.id = id;
    this.dirs = dirs;
    this.record = record;
  }

  get alive(): boolean {
    return !this.exited && this.record.init !== undefined && isAlive(this.record.init);
  }
}

/** The tasks by id, the watch on their directories, and who wants to hear of exits and OOM kills. */
export class TaskTable implements AsyncDisposable {
  readonly #tasks = new Map<string, Task>();
  readonly #oomSeen = new WeakSet<Task>();
  readonly #watcher: DirectoryWatcher;
  readonly #exitListeners = new Set<(exit: TaskExit) => void>();
  readonly #oomListeners = new Set<(oom: TaskOom) => void>();
  readonly #sweeper: ReturnType<typeof setInterval>;

  constructor(options: { readonly onError: (error: unknown) => void; readonly sweepMs: number }) {
    this.#watcher = new DirectoryWatcher(options.onError);
    this.#sweeper = setInterval(() => this.#sweep(), options.sweepMs);
    this.#sweeper.unref();
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
    this.#tasks.get(task.id)?.watch?.[Symbol.dispose]();
    this.#tasks.set(task.id, task);
  }

  remove(task: Task): void {
    task.watch?.[Symbol.dispose]();
    if (this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
  }

  /** Reports the task's exit and first OOM kill from now on. */
  watch(task: Task): void {
    task.watch = this.#watcher.watch(task.dirs.state, (name) => {
      if (name === undefined || name === "exit") this.#noticeExit(task);
      if (name === undefined || name === "oom") this.#noticeOom(task);
    });
    // What happened before the watch stood.
    if (existsSync(join(task.dirs.state, "exit"))) queueMicrotask(() => this.#noticeExit(task));
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
    for (const task of this.#tasks.values()) task.watch?.[Symbol.dispose]();
    this.#tasks.clear();
    await this.#watcher[Symbol.asyncDispose]();
  }

  #noticeExit(task: Task): void {
    if (task.exited) return;
    const exit = recordedExit(task.id, task.dirs.state, task.record.cgroups);
    if (exit) this.#reportExit(task, exit);
  }

  /**
   * A monitor that could not record the exit (its file system is full) or was killed says nothing. It records before it ends, so when
   * both processes are gone and nothing is recorded, nothing will be: the status is unknown, which containerd reports as 255 too.
   */
  #sweep(): void {
    for (const task of [...this.#tasks.values()]) {
      const { init, monitor, cgroups } = task.record;
      if (task.exited || !task.watch || !init || !monitor || isAlive(init) || isAlive(monitor)) continue;
      this.#noticeExit(task);
      if (task.exited) continue;
      const oomKilled = wasOomKilled(task.dirs.state, cgroups);
      this.#reportExit(task, { id: task.id, exitCode: 255, at: BigInt(Date.now()) * 1_000_000n, oomKilled });
    }
  }

  #reportExit(task: Task, exit: TaskExit): void {
    task.exited = true;
    if (exit.oomKilled) this.#noticeOom(task);
    task.watch?.[Symbol.dispose]();
    for (const listener of [...this.#exitListeners]) listener(exit);
  }

  /** An exec shares its container's cgroup, which reports for it. */
  #noticeOom(task: Task): void {
    if (task.record.kind === "exec" || this.#oomSeen.has(task)) return;
    if (!wasOomKilled(task.dirs.state, task.record.cgroups)) return;
    this.#oomSeen.add(task);
    for (const listener of [...this.#oomListeners]) listener({ id: task.id });
  }
}
