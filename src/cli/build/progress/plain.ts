import type { BuildWarning, StatusProgress } from "../../../base/spec/builder/progress.ts";
import type { Output } from "../../io/output.ts";
import type { BuildDisplay } from "./trace.ts";
import {
  BuildTrace,
  duration,
  isCanceled,
  partText,
  secondsBetween,
  type TracedVertex,
  type TraceLine,
} from "./trace.ts";

/** How often a part that goes on is told of, in nanoseconds. */
const partPace = 1_000_000_000n;

/**
 * `--progress=plain`: every line names its step ("#5 0.231 hello"), nothing is rewritten. A step that goes on after another one spoke begins
 * with its name again.
 */
export class PlainDisplay implements BuildDisplay {
  readonly trace: BuildTrace;
  readonly #out: Output;
  readonly #now: () => bigint;
  #speaker: TracedVertex | undefined;
  #begun = false;
  readonly #toldParts = new Map<string, bigint>();

  constructor(out: Output, now: () => bigint) {
    this.#out = out;
    this.#now = now;
    this.trace = new BuildTrace({
      vertex: (vertex) => this.#vertex(vertex),
      part: (vertex, part) => this.#part(vertex, part),
      line: (vertex, line) => this.#line(vertex, line),
      warning: (warning, vertex) => vertex && this.#warning(vertex, warning),
    });
  }

  /** Where nobody speaks, a step that runs and has said nothing yet is named. */
  settle(): void {
    if (this.#speaker) return;
    const running = this.trace.vertices.find(
      ({ started, completed }) => started !== undefined && completed === undefined,
    );
    if (running) this.#speak(running);
  }

  async finish(): Promise<void> {
    await this.#out.flush();
  }

  #vertex(vertex: TracedVertex): void {
    if (vertex.completed === undefined) return; // named as soon as it has something to say
    this.#speak(vertex);
    this.#say(`#${vertex.index} ${outcome(vertex, this.#now())}`);
    this.#speaker = undefined;
  }

  #part(vertex: TracedVertex, part: StatusProgress): void {
    const key = `${vertex.index} ${part.id}`;
    const now = this.#now();
    const last = this.#toldParts.get(key);
    if (part.completed === undefined && last !== undefined && now - last < partPace) return;
    this.#toldParts.set(key, now);
    this.#speak(vertex);
    this.#say(`#${vertex.index} ${partText(part, now)}`);
  }

  #line(vertex: TracedVertex, line: TraceLine): void {
    this.#speak(vertex);
    this.#say(`#${vertex.index} ${secondsBetween(vertex.started, line.at).toFixed(3)} ${line.text}`);
  }

  #warning(vertex: TracedVertex, { short }: BuildWarning): void {
    this.#speak(vertex);
    this.#say(`#${vertex.index} WARN: ${short}`);
  }

  #speak(vertex: TracedVertex): void {
    if (this.#speaker === vertex) return;
    if (this.#speaker && this.#speaker.completed === undefined) this.#say(`#${this.#speaker.index} ...`);
    if (this.#begun) this.#say("");
    this.#begun = true;
    this.#speaker = vertex;
    this.#say(`#${vertex.index} ${vertex.name}`);
  }

  #say(line: string): void {
    // A reader that went away ends the command elsewhere.
    this.#out.write(`${line}\n`).catch(() => undefined);
  }
}

function outcome(vertex: TracedVertex, now: bigint): string {
  if (vertex.error !== undefined) return isCanceled(vertex.error) ? "CANCELED" : `ERROR: ${vertex.error}`;
  return vertex.cached ? "CACHED" : `DONE ${duration(vertex, now).toFixed(1)}s`;
}
