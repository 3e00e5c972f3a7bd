import type { Digest } from "../../../base/lib/ids.ts";
import type {
  BuildWarning,
  LogProgress,
  ProgressSink,
  StatusProgress,
  VertexProgress,
} from "../../../base/spec/builder/progress.ts";

/** Shows how a build goes. */
export interface BuildDisplay {
  readonly trace: ProgressSink;
  /** Everything that the daemon said by now was told. */
  settle?(): void;
  /** Nothing more comes; what was shown last stays. */
  finish(): Promise<void>;
}

/** A step as it is known by now. Times are nanoseconds since the epoch. */
export interface TracedVertex {
  /** From 1, in the order in which steps were heard of. */
  readonly index: number;
  readonly digest: Digest;
  name: string;
  started: bigint | undefined;
  completed: bigint | undefined;
  cached: boolean;
  error: string | undefined;
  /** Time of earlier runs: a step may begin again (a source that is resolved and then fetched). */
  before: bigint;
  readonly parts: Map<string, StatusProgress>;
  /** The last lines of its output. */
  readonly tail: TraceLine[];
  readonly unfinished: Map<"stdout" | "stderr", { readonly decoder: TextDecoder; text: string }>;
}

export interface TraceLine {
  readonly at: bigint;
  readonly text: string;
}

/** What a display is told when something changes. */
export interface TraceListener {
  vertex?(vertex: TracedVertex): void;
  part?(vertex: TracedVertex, part: StatusProgress): void;
  line?(vertex: TracedVertex, line: TraceLine): void;
  warning?(warning: BuildWarning, vertex: TracedVertex | undefined): void;
}

/** Lines that are kept of each step, for what is shown when it fails. */
const keptLines = 1000;

/** Everything that was told of a build, in an order for people: steps numbered, output cut into lines. */
export class BuildTrace implements ProgressSink {
  readonly vertices: TracedVertex[] = [];
  readonly warnings: BuildWarning[] = [];
  readonly #byDigest = new Map<Digest, TracedVertex>();
  readonly #listener: TraceListener;

  constructor(listener: TraceListener = {}) {
    this.#listener = listener;
  }

  vertex(told: VertexProgress): void {
    const known = this.#byDigest.get(told.digest);
    // Those that only stand in the graph are not heard of until they begin.
    if (!known && told.started === undefined && !told.cached) return;
    const vertex = known ?? this.#add(told);
    if (vertex.completed !== undefined && told.started !== undefined && told.started !== vertex.started) {
      vertex.before += vertex.completed - (vertex.started ?? vertex.completed);
    }
    vertex.name = told.name;
    vertex.started = told.started ?? vertex.started;
    vertex.completed = told.completed;
    vertex.cached ||= told.cached;
    vertex.error = told.error;
    if (told.completed !== undefined) this.#endLines(vertex, told.completed);
    this.#listener.vertex?.(vertex);
  }

  status(part: StatusProgress): void {
    const vertex = this.#byDigest.get(part.vertex);
    if (!vertex) return;
    vertex.parts.set(part.id, part);
    this.#listener.part?.(vertex, part);
  }

  log({ vertex: digest, stream, bytes, at }: LogProgress): void {
    const vertex = this.#byDigest.get(digest);
    if (!vertex) return;
    const rest = vertex.unfinished.get(stream) ?? { decoder: new TextDecoder(), text: "" };
    vertex.unfinished.set(stream, rest);
    const lines = (rest.text + rest.decoder.decode(bytes, { stream: true })).split("\n");
    rest.text = lines.pop() ?? "";
    for (const line of lines) this.#line(vertex, at, line);
  }

  warning(warning: Parameters<ProgressSink["warning"]>[0]): void {
    this.warnings.push(warning);
    this.#listener.warning?.(warning, warning.vertex && this.#byDigest.get(warning.vertex));
  }

  /** The step that failed of itself; those that were ended because of it say "canceled". */
  get failed(): TracedVertex | undefined {
    return this.vertices.find(({ error }) => error !== undefined && !isCanceled(error));
  }

  #add({ digest, name }: VertexProgress): TracedVertex {
    const vertex: TracedVertex = {
      index: this.vertices.length + 1,
      digest,
      name,
      started: undefined,
      completed: undefined,
      cached: false,
      error: undefined,
      before: 0n,
      parts: new Map(),
      tail: [],
      unfinished: new Map(),
    };
    this.vertices.push(vertex);
    this.#byDigest.set(digest, vertex);
    return vertex;
  }

  #endLines(vertex: TracedVertex, at: bigint): void {
    for (const rest of vertex.unfinished.values()) {
      if (rest.text !== "") this.#line(vertex, at, rest.text);
      rest.text = "";
    }
  }

  #line(vertex: TracedVertex, at: bigint, text: string): void {
    const line = { at, text: text.endsWith("\r") ? text.slice(0, -1) : text };
    vertex.tail.push(line);
    if (vertex.tail.length > keptLines) vertex.tail.splice(0, keptLines / 10);
    this.#listener.line?.(vertex, line);
  }
}

export function isCanceled(error: string): boolean {
  return error.endsWith("context canceled");
}

/** Seconds between two times. */
export function secondsBetween(from: bigint | undefined, to: bigint | undefined): number {
  return from === undefined || to === undefined ? 0 : Number(to - from) / 1e9;
}

/** How long a step took, all its runs together; `now` for one that is not over. */
export function duration(vertex: TracedVertex, now: bigint): number {
  return secondsBetween(vertex.started, vertex.completed ?? now) + Number(vertex.before) / 1e9;
}

/** "12.3MB", as BuildKit's displays show sizes: decimal, two digits. */
function shownBytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let amount = value;
  let unit = 0;
  for (; amount >= 1000 && unit < units.length - 1; unit++) amount /= 1000;
  return unit === 0 ? `${amount}B` : `${amount.toFixed(2)}${units[unit]}`;
}

/** "transferring context: 2B 0.1s done": a part without its step. */
export function partText(part: StatusProgress, now: bigint): string {
  const amount =
    part.total > 0
      ? ` ${shownBytes(part.current)} / ${shownBytes(part.total)}`
      : part.current > 0
        ? ` ${shownBytes(part.current)}`
        : "";
  const seconds = secondsBetween(part.started, part.completed ?? now);
  const time = part.started !== undefined && seconds >= 0.01 ? ` ${seconds.toFixed(1)}s` : "";
  return `${part.name || part.id}${amount}${time}${part.completed === undefined ? "" : " done"}`;
}
