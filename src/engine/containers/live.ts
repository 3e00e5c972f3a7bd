import type { ContainerId } from "../../base/lib/ids.ts";
import type { ContainerLog } from "../../core/logging/logging.ts";

export interface ExitOutcome {
  readonly StatusCode: number;
  readonly Error?: { readonly Message: string };
}

/** Somebody waits for a container; each stays until its condition comes true or it is withdrawn. */
export interface Waiter {
  readonly condition: "not-running" | "next-exit" | "removed";
  readonly resolve: (outcome: ExitOutcome) => void;
}

/** An attach request that came before the container runs: it is connected between create and start. */
export interface PendingAttachment {
  /** The task exists and has not run yet: open the streams now. Must not throw. */
  connect(): Promise<void>;
  /** It will never run: the container was removed. */
  cancel(): void;
}

/**
 * What is known of a container only while this daemon lives: who waits for it, its open log, its timers. A new daemon
 * builds it anew; nothing here may be needed to find a container again.
 */
class LiveContainer {
  readonly waiters = new Set<Waiter>();
  readonly pending = new Set<PendingAttachment>();
  readonly execIds = new Set<string>();
  log: ContainerLog | undefined;
  /** Aborts the wait before the next run of the restart policy. */
  restart: AbortController | undefined;
  /** Stops the health checks. */
  health: Disposable | undefined;
  /** The last back-off, and when the last run began, for the planner. */
  backoffMs = 0;
  /** Monotonic nanoseconds; differences only. */
  startedMonotonic = 0n;
  /** Manual restarts under way (there may be several): while there is one, the policy and --rm leave an exit alone. */
  restarting = 0;
  /** A stop on request is under way; settles, whatever becomes of it, when it is over. */
  goingDown: Promise<void> | undefined;
  /** The same of a restart. */
  comingBack: Promise<void> | undefined;
  /** `stop` and `kill` of this run: the exit is wanted. */
  stopRequested = false;
}

/** So many outcomes of containers that removed themselves are remembered. */
const departedLimit = 64;

export class LiveTable {
  readonly #live = new Map<ContainerId, LiveContainer>();
  readonly #departed = new Map<string, ExitOutcome>();

  of(id: ContainerId): LiveContainer {
    let live = this.#live.get(id);
    if (!live) {
      live = new LiveContainer();
      this.#live.set(id, live);
    }
    return live;
  }

  peek(id: ContainerId): LiveContainer | undefined {
    return this.#live.get(id);
  }

  forget(id: ContainerId): void {
    this.#live.delete(id);
  }

  /**
   * A container made with --rm may be gone before the client that started it asks to wait for it: its outcome is kept for
   * that question.
   */
  depart(id: ContainerId, outcome: ExitOutcome): void {
    this.#departed.set(id, outcome);
    const oldest = this.#departed.keys().next().value;
    if (this.#departed.size > departedLimit && oldest !== undefined) this.#departed.delete(oldest);
  }

  departed(id: string): ExitOutcome | undefined {
    return this.#departed.get(id);
  }

  /** Tells waiters what happened: an exit ends all but "removed", the removal ends the rest. */
  settle(id: ContainerId, event: "exited" | "removed", outcome: ExitOutcome): void {
    const live = this.#live.get(id);
    if (!live) return;
    for (const waiter of live.waiters) {
      if (event === "exited" && waiter.condition === "removed") continue;
      live.waiters.delete(waiter);
      waiter.resolve(outcome);
    }
  }
}
