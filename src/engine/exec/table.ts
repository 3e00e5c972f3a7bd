import { join } from "node:path";
import { parseDetachKeys } from "../../base/lib/detach-keys.ts";
import { messageOf, notFound } from "../../base/lib/errors.ts";
import type { ExecId } from "../../base/lib/ids.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import type { TaskDirs } from "../../core/runtime/runtime.ts";
import type { ContainerContext } from "../containers/context.ts";
import type { ContainerRecord } from "../containers/record.ts";
import type { ExecNote, ExecRecord } from "./exec-record.ts";

/** An ended exec can be inspected this long; Docker keeps them until its next sweep, five minutes. */
const keepEnded = 5n * 60_000_000_000n;

/** The execs by id, from their creation until nobody may ask for them any more. */
export class ExecTable {
  readonly #containers: ContainerContext;
  readonly #execs = new Map<string, ExecRecord>();

  constructor(containers: ContainerContext) {
    this.#containers = containers;
  }

  add(record: ContainerRecord, id: ExecId, { request, own }: ExecNote): ExecRecord {
    const exec: ExecRecord = {
      id,
      containerId: record.id,
      request,
      detachKeys: parseDetachKeys(request.DetachKeys),
      dirs: execDirs(this.#containers, record, id),
      own,
      state: "created",
      pid: 0,
      exitCode: null,
      ended: Promise.withResolvers<number>(),
      endedAt: 0n,
    };
    this.#execs.set(id, exec);
    this.#containers.live.of(record.id).execIds.add(id);
    return exec;
  }

  find(id: string): ExecRecord | undefined {
    return this.#execs.get(id);
  }

  /** Throws Docker's not-found. */
  get(id: string): ExecRecord {
    const exec = this.#execs.get(id);
    if (!exec) throw notFound(`No such exec instance: ${id}`);
    return exec;
  }

  /** It is over, or never began: its waiters hear of it, and its files go. It can be inspected for a while. */
  end(exec: ExecRecord, exitCode: number): void {
    const { live, runtime, log, clock } = this.#containers;
    exec.state = "ended";
    exec.exitCode = exitCode;
    exec.endedAt = clock.monotonic();
    exec.ended.resolve(exitCode);
    live.peek(exec.containerId)?.execIds.delete(exec.id);
    runtime
      .delete(exec.id, { force: true })
      .then(() => removeDirectory(exec.dirs.state))
      .catch((error: unknown) =>
        log.warn("cleaning up after an exec", { id: exec.id, error: messageOf(error) }),
      );
  }

  /** What still runs is forgotten after its exit, which sees to its files. */
  forget(exec: ExecRecord): void {
    if (exec.state === "running") return;
    this.#execs.delete(exec.id);
    this.#containers.live.peek(exec.containerId)?.execIds.delete(exec.id);
  }

  /** The container is gone or stopped: execs that have not begun never will. */
  containerRemoved(containerId: string): void {
    for (const exec of this.#execs.values()) {
      if (exec.containerId === containerId && exec.state !== "running") this.#execs.delete(exec.id);
    }
  }

  /** Forgets execs that ended long ago, and those never started of containers that are gone. */
  sweep(): void {
    const { clock, store } = this.#containers;
    for (const exec of this.#execs.values()) {
      const old = exec.state === "ended" && clock.monotonic() - exec.endedAt > keepEnded;
      if (old || !store.get(exec.containerId)) this.#execs.delete(exec.id);
    }
  }
}

/** Where the runtime keeps an exec: below its container, with which it goes. */
export function execDirs(containers: ContainerContext, record: ContainerRecord, id: ExecId): TaskDirs {
  const task = containers.paths.task(record.id);
  return { bundle: task.bundle, state: join(task.state, "exec", id) };
}
