import type { Digest } from "../../base/lib/ids.ts";
import type { ProgressSink } from "../../base/spec/builder/progress.ts";
import type { SolveEvent, SolveWarning } from "../../client/build/events.ts";

/** Tells a display what the daemon says of a build. */
export function tell(sink: ProgressSink, event: SolveEvent): void {
  for (const { digest, inputs, error, ...vertex } of event.vertexes) {
    sink.vertex({
      ...vertex,
      digest: digest as Digest,
      inputs: inputs as readonly Digest[],
      error: error === "" ? undefined : error,
    });
  }
  // BuildKit's statuses have no name of their own: the id is the text.
  for (const { vertex, name, ...status } of event.statuses)
    sink.status({ ...status, name: name || status.id, vertex: vertex as Digest });
  for (const { vertex, stream, data, at } of event.logs) {
    void sink.log({
      vertex: vertex as Digest,
      stream: stream === 1 ? "stdout" : "stderr",
      bytes: data,
      at: at ?? 0n,
    });
  }
  for (const warning of event.warnings)
    sink.warning({ ...ruleOf(warning), vertex: warning.vertex as Digest });
}

/** "FromAsCasing: 'as' and … (line 1)": the rule's name stands in front. */
function ruleOf({ short, detail, url, source }: SolveWarning) {
  const colon = /^[A-Za-z]+: /.exec(short)?.[0] ?? "";
  const at = (line: number) => ({ line, character: 0 });
  return {
    rule: colon.slice(0, -2),
    short: short.slice(colon.length),
    detail,
    url,
    location: source && {
      file: 0,
      ranges: source.ranges.map(({ start, end }) => ({ start: at(start), end: at(end) })),
    },
  };
}
