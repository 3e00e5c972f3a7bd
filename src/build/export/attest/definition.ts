import { redactUrl } from "../../../base/lib/redact-url.ts";
import type { Op, Vertex } from "../../graph.ts";
import type { BuildPlan } from "../../plan.ts";

/** The steps, inputs before what reads them. */
export function definition(steps: readonly Vertex[]): readonly object[] {
  const ids = new Map(steps.map((vertex, index) => [vertex, `step${index}`]));
  return steps.map((vertex) => ({
    id: ids.get(vertex),
    name: redactUrl(vertex.name),
    op: told(vertex.op),
    inputs: vertex.inputs.map((input) => `${ids.get(input)}:0`),
  }));
}

/** Without what is the session's, which names nothing for anybody else, and proxies, whose addresses may have passwords in them. */
function told(op: Op): object {
  if (op.kind === "exec") {
    const { proxyEnv: _, ...rest } = op;
    return rest;
  }
  if (op.kind === "http") return { ...op, url: redactUrl(op.url) };
  if (op.kind === "git") return { ...op, remote: redactUrl(op.remote) };
  if (op.kind !== "local") return op;
  const { session: _, ...rest } = op;
  return rest;
}

/** The Dockerfile, and which lines of it which step is. */
export function sources(steps: readonly Vertex[], files: BuildPlan["files"]): object {
  const locations = Object.fromEntries(
    steps.flatMap(({ location }, index) => {
      if (!location) return [];
      const { start, end } = location.range;
      const range = { start: { line: start.line }, end: { line: end.line } };
      return [[`step${index}`, { locations: [{ sourceIndex: location.file, ranges: [range] }] }]];
    }),
  );
  return {
    locations,
    infos: files.map(({ name, text }) => ({
      filename: name,
      language: "Dockerfile",
      data: Buffer.from(text).toString("base64"),
    })),
  };
}
