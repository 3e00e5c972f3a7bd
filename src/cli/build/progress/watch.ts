import type { Digest } from "../../../base/lib/ids.ts";
import type { ProgressSink } from "../../../base/spec/builder/progress.ts";
import type { SolveEvent, SolveWarning } from "../../../client/build/events.ts";

/**
 * Tells a display what the daemon says of a build. What one event says of a step that it also ends comes before the end, and steps that are over
 * come one after the other: nothing is shown below a step that is over.
 */
export class EventTeller {
  readonly #sink: ProgressSink;
  /** Steps that were told to have begun. */
  readonly #begun = new Set<string>();

  constructor(sink: ProgressSink) {
    this.#sink = sink;
  }

  tell(event: SolveEvent): void {
    const [done, going] = [event.vertexes.filter(isOver), event.vertexes.filter((vertex) => !isOver(vertex))];
    for (const vertex of done.sort((a, b) => Number((a.completed ?? 0n) - (b.completed ?? 0n)))) {
      // What it said belongs to a step that is known: one that was so quick is told to have begun, too.
      if (!this.#begun.has(vertex.digest)) this.#vertex({ ...vertex, completed: undefined, error: "" });
      this.#details(event, (digest) => digest === vertex.digest);
      this.#vertex(vertex);
    }
    for (const vertex of going) this.#vertex(vertex);
    const over = new Set(done.map(({ digest }) => digest));
    this.#details(event, (digest) => !over.has(digest));
  }

  /** What is said of some steps beside their state. */
  #details({ statuses, logs, warnings }: SolveEvent, of: (digest: string) => boolean): void {
    for (const { vertex, ...status } of statuses) {
      // BuildKit's id is the text for people ("transferring context:"), and its name a word of it.
      if (of(vertex)) this.#sink.status({ ...status, name: status.id, vertex: vertex as Digest });
    }
    for (const warning of warnings)
      if (of(warning.vertex)) this.#sink.warning({ ...warningOf(warning), vertex: warning.vertex as Digest });
    for (const { vertex, stream, data, at = 0n } of logs) {
      const name = stream === 1 ? "stdout" : "stderr";
      if (of(vertex)) void this.#sink.log({ vertex: vertex as Digest, stream: name, bytes: data, at });
    }
  }

  #vertex({ digest, inputs, error, ...vertex }: SolveEvent["vertexes"][number]): void {
    if (vertex.started !== undefined) this.#begun.add(digest);
    this.#sink.vertex({
      ...vertex,
      digest: digest as Digest,
      inputs: inputs as readonly Digest[],
      error: error === "" ? undefined : error,
    });
  }
}

const isOver = (vertex: SolveEvent["vertexes"][number]) => vertex.completed !== undefined;

function warningOf({ short, detail, url, source }: SolveWarning) {
  const at = (line: number) => ({ line, character: 0 });
  return {
    short,
    detail,
    url,
    location: source && {
      file: 0,
      ranges: source.ranges.map(({ start, end }) => ({ start: at(start), end: at(end) })),
    },
  };
}
