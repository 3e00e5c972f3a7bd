import type { Clock } from "../../../base/lib/clock.ts";
import type { BuildSources } from "../../../base/spec/builder/builder.ts";
import type {
  LogProgress,
  ProgressSink,
  StatusProgress,
  VertexProgress,
} from "../../../base/spec/builder/progress.ts";
import type {
  StatusResponse,
  Vertex,
  VertexLog,
  VertexStatus,
  VertexWarning,
} from "../../../base/spec/buildkit/control.gen.ts";
import type { Range, SourceInfo, Timestamp } from "../../../base/spec/buildkit/pb.gen.ts";

/** Output of steps that is kept for readers who lag or come late; what is older is clipped (BuildKit clips at 2 MiB a step). */
const maxLogBytes = 8 << 20;
/** And once the build is over. */
const maxKeptBytes = 256 << 10;
/** Changes are gathered for so long before a reader is told. */
const gatherMs = 20;
const maxWarnings = 1_000;

/**
 * What happened in a build so far, and readers of it. A reader that comes late is told everything from the beginning; one that is slow gets the
 * newest state of each vertex and status instead of every change, so it costs no memory.
 */
export class ProgressLog implements ProgressSink {
  readonly #clock: Clock;
  readonly #vertices = new Map<string, Vertex>();
  readonly #statuses = new Map<string, VertexStatus>();
  readonly #warnings: VertexWarning[] = [];
  readonly #readers = new Set<Reader>();
  #logs: VertexLog[] = [];
  /** Entries that were clipped in front of #logs. */
  #clipped = 0;
  #logBytes = 0;
  #over = false;
  #sources: BuildSources | undefined;

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** What warnings and failures show excerpts of. */
  get sources(): BuildSources | undefined {
    return this.#sources;
  }

  planned(sources: BuildSources): void {
    this.#sources = sources;
  }

  get counts(): {
    readonly total: number;
    readonly completed: number;
    readonly cached: number;
    readonly warnings: number;
  } {
    const all = [...this.#vertices.values()];
    return {
      total: all.length,
      completed: all.filter((vertex) => vertex.completed !== undefined).length,
      cached: all.filter((vertex) => vertex.cached).length,
      warnings: this.#warnings.length,
    };
  }

  vertex(vertex: VertexProgress): void {
    this.#vertices.set(vertex.digest, {
      digest: vertex.digest,
      inputs: [...vertex.inputs],
      name: vertex.name,
      cached: vertex.cached,
      started: timestamp(vertex.started),
      completed: timestamp(vertex.completed),
      error: vertex.error ?? "",
      progressGroup: undefined,
    });
    for (const reader of this.#readers) reader.vertex(vertex.digest);
  }

  status(status: StatusProgress): void {
    const key = `${status.vertex}\0${status.id}`;
    this.#statuses.set(key, {
      id: status.id,
      vertex: status.vertex,
      name: status.name,
      current: BigInt(Math.trunc(status.current)),
      total: BigInt(Math.trunc(status.total)),
      timestamp: timestamp(BigInt(this.#clock.now()) * 1_000_000n),
      started: timestamp(status.started),
      completed: timestamp(status.completed),
    });
    for (const reader of this.#readers) reader.status(key);
  }

  log(log: LogProgress): void {
    // A copy: whoever reports may use the buffer again.
    const msg = new Uint8Array(log.bytes);
    const stream = log.stream === "stdout" ? 1n : 2n;
    this.#logs.push({ vertex: log.vertex, timestamp: timestamp(log.at), stream, msg });
    this.#logBytes += msg.length;
    this.#clip(maxLogBytes);
    for (const reader of this.#readers) reader.wake();
  }

  warning(warning: Parameters<ProgressSink["warning"]>[0]): void {
    if (this.#warnings.length >= maxWarnings) return;
    const file = warning.location && this.#sources?.files[warning.location.file];
    this.#warnings.push({
      vertex: warning.vertex ?? this.#definitionVertex(),
      level: 1n,
      short: Buffer.from(warning.short),
      detail: warning.detail.map((line) => Buffer.from(line)),
      url: warning.url,
      info: file && sourceInfo(file),
      ranges: (warning.location?.ranges ?? []).map(copyRange),
    });
    for (const reader of this.#readers) reader.wake();
  }

  /** The build is over: readers are told the rest and end. */
  end(): void {
    this.#over = true;
    this.#clip(this.#readers.size > 0 ? maxLogBytes : maxKeptBytes);
    for (const reader of this.#readers) reader.wake();
  }

  /** Everything from the beginning until the build is over. */
  async *read(signal: AbortSignal): AsyncGenerator<StatusResponse, void, void> {
    const reader = new Reader(this.#vertices.keys(), this.#statuses.keys());
    this.#readers.add(reader);
    const abort = () => reader.wake();
    signal.addEventListener("abort", abort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const news = this.#newsFor(reader);
        if (news) yield news;
        else if (this.#over) return;
        else {
          await reader.changed();
          if (!this.#over && !signal.aborted) await this.#gather(reader, signal);
        }
      }
    } finally {
      signal.removeEventListener("abort", abort);
      this.#readers.delete(reader);
      if (this.#over && this.#readers.size === 0) this.#clip(maxKeptBytes);
    }
  }

  async #gather(reader: Reader, signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => reader.wake(), gatherMs);
    try {
      // Further changes wake it too: only the time or the end counts.
      const until = performance.now() + gatherMs;
      while (!this.#over && !signal.aborted && performance.now() < until) await reader.changed();
    } finally {
      clearTimeout(timer);
    }
  }

  #newsFor(reader: Reader): StatusResponse | undefined {
    const { vertices, statuses } = reader.take();
    const logs = this.#logs.slice(Math.max(0, reader.logs - this.#clipped), this.#logs.length);
    if (reader.logs < this.#clipped) {
      const next = logs[0];
      if (next) logs.unshift({ ...next, stream: 2n, msg: clippedNotice });
    }
    reader.logs = this.#clipped + this.#logs.length;
    const warnings = this.#warnings.slice(reader.warnings);
    reader.warnings = this.#warnings.length;
    const news: StatusResponse = {
      vertexes: [...vertices].flatMap((digest) => this.#vertices.get(digest) ?? []),
      statuses: [...statuses].flatMap((key) => this.#statuses.get(key) ?? []),
      logs,
      warnings,
    };
    return vertices.size + statuses.size + logs.length + warnings.length === 0 ? undefined : news;
  }

  /** Warnings of the Dockerfile as a whole are shown at the step that loaded it. */
  #definitionVertex(): string {
    const all = [...this.#vertices.values()];
    const loading = all.find((vertex) => vertex.name.startsWith("[internal] load build definition"));
    return (loading ?? all[0])?.digest ?? "";
  }

  #clip(limit: number): void {
    let dropped = 0;
    while (this.#logBytes > limit && dropped < this.#logs.length) {
      this.#logBytes -= this.#logs[dropped]?.msg.length ?? 0;
      dropped++;
    }
    if (dropped === 0) return;
    this.#logs = this.#logs.slice(dropped);
    this.#clipped += dropped;
  }
}

const clippedNotice = Buffer.from("[output clipped: it came faster than it was read]\n");

/** What one reader was not told yet. */
class Reader {
  #vertices: Set<string>;
  #statuses: Set<string>;
  #wake = Promise.withResolvers<void>();
  /** Index, from the beginning of the build, of what comes next. */
  logs = 0;
  warnings = 0;

  constructor(vertices: Iterable<string>, statuses: Iterable<string>) {
    this.#vertices = new Set(vertices);
    this.#statuses = new Set(statuses);
  }

  vertex(digest: string): void {
    // Behind what changed before it: clients show vertices in the order in which they are told of them.
    this.#vertices.delete(digest);
    this.#vertices.add(digest);
    this.wake();
  }

  status(key: string): void {
    this.#statuses.add(key);
    this.wake();
  }

  wake(): void {
    this.#wake.resolve();
  }

  async changed(): Promise<void> {
    await this.#wake.promise;
    this.#wake = Promise.withResolvers();
  }

  take(): { readonly vertices: ReadonlySet<string>; readonly statuses: ReadonlySet<string> } {
    const taken = { vertices: this.#vertices, statuses: this.#statuses };
    this.#vertices = new Set();
    this.#statuses = new Set();
    return taken;
  }
}

function timestamp(nanoseconds: bigint | undefined): Timestamp | undefined {
  if (nanoseconds === undefined) return undefined;
  return { seconds: nanoseconds / 1_000_000_000n, nanos: Number(nanoseconds % 1_000_000_000n) };
}

export const timestampOfMs = (ms: number | undefined) =>
  timestamp(ms === undefined ? undefined : BigInt(Math.trunc(ms)) * 1_000_000n);

function sourceInfo(file: { readonly name: string; readonly text: string }): SourceInfo {
  return { filename: file.name, data: Buffer.from(file.text), language: "Dockerfile" };
}

const copyRange = (range: {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}): Range => ({ start: { ...range.start }, end: { ...range.end } });
