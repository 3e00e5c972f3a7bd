import type { Clock } from "../../base/lib/clock.ts";
import type { Vertex } from "../graph.ts";
import type { LogProgress, ProgressSink, StatusProgress, VertexProgress } from "../progress.ts";
import type { StepProgress } from "../run/runner.ts";

/** Bytes of output that are kept for builds that join a step while it runs. */
const keptOutput = 2 << 20;

type State = Pick<VertexProgress, "cached" | "started" | "completed" | "error">;

/** Tells all builds that have a step how it goes; who joins is told first what was so far. */
export class StepReport implements StepProgress {
  readonly #vertex: Vertex;
  readonly #clock: Clock;
  readonly #watchers = new Set<ProgressSink>();
  readonly #parts = new Map<string, StatusProgress>();
  #logs: LogProgress[] = [];
  #logBytes = 0;
  #state: State = {
    cached: false,
    started: undefined,
    completed: undefined,
    error: undefined,
  };

  constructor(vertex: Vertex, clock: Clock) {
    this.#vertex = vertex;
    this.#clock = clock;
  }

  watch(sink: ProgressSink): void {
    if (this.#watchers.has(sink)) return;
    this.#watchers.add(sink);
    sink.vertex(this.#progress());
    for (const part of this.#parts.values()) sink.status(part);
    for (const log of this.#logs) void sink.log(log);
  }

  unwatch(sink: ProgressSink): void {
    this.#watchers.delete(sink);
  }

  /** Something was told of it: that it began, or that it need not run. */
  get told(): boolean {
    return this.#state.started !== undefined;
  }

  get running(): boolean {
    return this.#state.started !== undefined && this.#state.completed === undefined;
  }

  started(): void {
    if (this.running) return;
    this.#tell({ cached: false, started: this.#now(), completed: undefined, error: undefined });
  }

  completed(error?: string): void {
    if (!this.running) return;
    this.#tell({ ...this.#state, completed: this.#now(), error });
  }

  /** Its result was there. */
  cached(): void {
    if (this.told && !this.running) return;
    const now = this.#now();
    this.#tell({ cached: true, started: this.#state.started ?? now, completed: now, error: undefined });
  }

  /** The same for one build: that one does not need it, others may. */
  cachedFor(sink: ProgressSink): void {
    const now = this.#now();
    const state = { cached: true, started: now, completed: now, error: undefined };
    if (!this.told) sink.vertex({ ...this.#progress(), ...state });
  }

  /** Resolves when every watcher may be told more. */
  async log(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    // Runners may use their buffer again.
    const log = { vertex: this.#vertex.digest, stream, bytes: bytes.slice(), at: this.#now() };
    this.#logs.push(log);
    this.#logBytes += bytes.length;
    if (this.#logBytes > keptOutput) this.#dropLogs();
    await Promise.all([...this.#watchers].map((sink) => sink.log(log)));
  }

  part(
    name: string,
    state: { readonly current: number; readonly total: number; readonly done?: boolean },
  ): void {
    const before = this.#parts.get(name);
    const part: StatusProgress = {
      id: name,
      name,
      vertex: this.#vertex.digest,
      current: state.current,
      total: state.total,
      started: before?.started ?? this.#now(),
      completed: state.done ? this.#now() : undefined,
    };
    this.#parts.set(name, part);
    for (const sink of this.#watchers) sink.status(part);
  }

  /** Half of what is kept, so that it is not done for each line. */
  #dropLogs(): void {
    let from = 0;
    while (this.#logBytes > keptOutput / 2 && from < this.#logs.length)
      this.#logBytes -= this.#logs[from++]?.bytes.length ?? 0;
    this.#logs = this.#logs.slice(from);
  }

  #tell(state: State): void {
    this.#state = state;
    for (const sink of this.#watchers) sink.vertex(this.#progress());
  }

  #progress(): VertexProgress {
    const { digest, inputs, name } = this.#vertex;
    return { digest, inputs: inputs.map((input) => input.digest), name, ...this.#state };
  }

  #now(): bigint {
    return BigInt(Math.trunc(this.#clock.now() * 1000)) * 1000n;
  }
}
