import type { Digest } from "../../base/lib/ids.ts";
import { shortId } from "../../base/lib/ids.ts";
import type {
  BuildWarning,
  LogProgress,
  ProgressSink,
  StatusProgress,
  VertexProgress,
} from "../../base/spec/builder/progress.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";

/** One instruction of the Dockerfile, and the vertices that do it (none: it only changes the config). */
export interface ClassicStep {
  readonly text: string;
  readonly vertices: readonly Digest[];
}

interface Seen {
  started: boolean;
  completed: boolean;
  cached: boolean;
  error: boolean;
  readonly logs: LogProgress[];
}

/**
 * A build told as the classic builder tells it: instruction after instruction, "Step 2/5 : RUN make", their output, " ---> <id>". Steps that
 * ran side by side are told one after the other. Output that comes early waits, up to a bound; what is over it is cut in the middle.
 */
export class ClassicOutput implements ProgressSink {
  readonly #send: (message: ProgressMessage) => void;
  readonly #quiet: boolean;
  readonly #seen = new Map<Digest, Seen>();
  readonly #decoders = new Map<string, TextDecoder>();
  #steps: readonly ClassicStep[] = [];
  #at = 0;
  #headed = false;
  #heldBytes = 0;
  readonly #quieted: string[] = [];
  #quietedBytes = 0;

  constructor(send: (message: ProgressMessage) => void, options: { readonly quiet: boolean }) {
    this.#send = send;
    this.#quiet = options.quiet;
  }

  begin(steps: readonly ClassicStep[]): void {
    this.#steps = steps;
    this.#advance();
  }

  vertex(vertex: VertexProgress): void {
    const seen = this.#of(vertex.digest);
    seen.started ||= vertex.started !== undefined;
    seen.completed ||= vertex.completed !== undefined;
    seen.cached ||= vertex.cached;
    seen.error ||= vertex.error !== undefined;
    this.#advance();
  }

  status(_status: StatusProgress): void {
    // The classic builder shows no parts of a step.
  }

  log(log: LogProgress): void {
    if (this.#current()?.vertices.includes(log.vertex) && this.#headed) {
      this.#print(log);
      return;
    }
    const { logs } = this.#of(log.vertex);
    this.#heldBytes += log.bytes.length;
    logs.push(log);
    // What waits for its turn must not grow without end: the oldest goes.
    while (this.#heldBytes > heldLimit) {
      const first = logs.shift();
      if (!first) break;
      this.#heldBytes -= first.bytes.length;
    }
  }

  warning(warning: BuildWarning): void {
    this.#line(`[Warning] ${warning.short}\n`);
  }

  /** The instruction that a vertex belongs to. */
  instruction(vertex: string): string | undefined {
    return this.#steps.find(({ vertices }) => vertices.some((digest) => digest === vertex))?.text;
  }

  /** What a quiet build did not say, it says when it fails. */
  failed(): void {
    for (const stream of this.#quieted.splice(0)) this.#send({ stream });
  }

  /** What the client is told last. */
  built(id: string, tags: readonly string[]): void {
    if (this.#quiet) {
      this.#send({ stream: `${id}\n` });
      return;
    }
    this.#send({ aux: { ID: id } });
    this.#line(`Successfully built ${shortId(id)}\n`);
    for (const tag of tags) this.#line(`Successfully tagged ${tag}\n`);
  }

  #current(): ClassicStep | undefined {
    return this.#steps[this.#at];
  }

  #of(digest: Digest): Seen {
    const known = this.#seen.get(digest);
    if (known) return known;
    const seen: Seen = { started: false, completed: false, cached: false, error: false, logs: [] };
    this.#seen.set(digest, seen);
    return seen;
  }

  #advance(): void {
    for (let step = this.#current(); step; step = this.#current()) {
      const parts = step.vertices.map((digest) => this.#of(digest));
      if (!this.#headed) {
        this.#line(`Step ${this.#at + 1}/${this.#steps.length} : ${step.text}`);
        this.#line("\n");
        this.#headed = true;
      }
      for (const { logs } of parts) {
        for (const log of logs.splice(0)) {
          this.#heldBytes -= log.bytes.length;
          this.#print(log);
        }
      }
      if (!parts.every((part) => part.completed) || parts.some((part) => part.error)) return;
      // A base image is there or not; the classic builder says of neither that it was in the cache.
      const base = /^FROM\s/i.test(step.text);
      if (!base && parts.length > 0 && parts.every((part) => part.cached)) this.#line(" ---> Using cache\n");
      const last = step.vertices.at(-1);
      if (last !== undefined) this.#line(` ---> ${shortId(last)}\n`);
      this.#at++;
      this.#headed = false;
    }
  }

  #print(log: LogProgress): void {
    const key = `${log.vertex} ${log.stream}`;
    const decoder = this.#decoders.get(key) ?? new TextDecoder();
    this.#decoders.set(key, decoder);
    const text = decoder.decode(log.bytes, { stream: true });
    // Docker's clients show what a command wrote to standard error in red.
    if (text !== "") this.#line(log.stream === "stderr" ? `\x1b[91m${text}\x1b[0m` : text);
  }

  #line(stream: string): void {
    if (!this.#quiet) {
      this.#send({ stream });
      return;
    }
    this.#quieted.push(stream);
    this.#quietedBytes += stream.length;
    while (this.#quietedBytes > quietLimit) this.#quietedBytes -= this.#quieted.shift()?.length ?? Infinity;
  }
}

/** Bytes of output that wait for the steps before theirs. */
const heldLimit = 16 << 20;
/** Of what a quiet build did not say: the end is what explains a failure. */
const quietLimit = 1 << 20;
