import { causeOf, messageOf, TugError } from "../../../base/lib/errors.ts";
import { Code, type Detail, RpcError, statusOf } from "../../../base/rpc/status.ts";
import type { BuildSources } from "../../../base/spec/builder/builder.ts";
import { DockerfileError } from "../../../base/spec/dockerfile/error.ts";
import type { SourceRange } from "../../../base/spec/dockerfile/syntax.ts";

interface Place {
  readonly file: number;
  readonly ranges: readonly SourceRange[];
}

/**
 * A failed build as BuildKit's clients read it: the step (errdefs.Vertex) and the lines of the Dockerfile (errdefs.Source) go along as details,
 * which clients print as an excerpt.
 */
export function buildFailure(error: unknown, sources: BuildSources | undefined): RpcError {
  const cause = causeOf(error);
  if (cause instanceof RpcError && cause.details.length > 0) return cause;
  const details: Detail[] = [];
  const step = stepOf(cause);
  if (step) details.push(detail("errdefs.Vertex", { digest: step.digest }));
  const place = placeOf(cause) ?? step?.place;
  const file = place && (ownSource(cause) ?? sources?.files[place.file]);
  if (place && file) {
    details.push(
      detail("errdefs.Source", {
        info: {
          filename: file.name,
          data: Buffer.from(file.text).toString("base64"),
          language: "Dockerfile",
        },
        ranges: place.ranges,
      }),
    );
  }
  return new RpcError(codeFor(cause), messageOf(cause), details, cause);
}

/** Only these codes mean something to a client of the builder; everything else is the build's own failure, without a code as in BuildKit. */
function codeFor(error: unknown): number {
  const { code } = statusOf(error);
  const kept: readonly number[] = [
    Code.cancelled,
    Code.unavailable,
    Code.unimplemented,
    Code.resourceExhausted,
  ];
  return error instanceof TugError && kept.includes(code) ? code : Code.unknown;
}

/** BuildKit's typed errors travel as JSON (util/grpcerrors). */
function detail(type: string, value: unknown): Detail {
  return {
    typeUrl: `github.com/moby/buildkit/${type}+json`,
    value: Buffer.from(JSON.stringify(value)),
  };
}

/** The errors along the chain of causes, outermost first. */
function* chain(error: unknown): Generator<object, void, void> {
  let at = error;
  for (let depth = 0; depth < 32 && typeof at === "object" && at !== null; depth++) {
    yield at;
    at = "cause" in at ? at.cause : undefined;
  }
}

/** The builder's `StepFailure`: the api floor knows its shape, not its class. */
export function stepOf(
  error: unknown,
): { readonly digest: string; readonly place: Place | undefined } | undefined {
  for (const at of chain(error)) {
    const vertex = "vertex" in at ? at.vertex : undefined;
    if (typeof vertex !== "object" || vertex === null || !("digest" in vertex)) continue;
    if (typeof vertex.digest !== "string") continue;
    const location = "location" in vertex ? vertex.location : undefined;
    return {
      digest: vertex.digest,
      place: isLocation(location) ? { file: location.file, ranges: [location.range] } : undefined,
    };
  }
  return undefined;
}

function isLocation(value: unknown): value is { readonly file: number; readonly range: SourceRange } {
  return (
    typeof value === "object" &&
    value !== null &&
    "file" in value &&
    typeof value.file === "number" &&
    "range" in value &&
    typeof value.range === "object" &&
    value.range !== null &&
    "start" in value.range
  );
}

function placeOf(error: unknown): Place | undefined {
  for (const at of chain(error)) {
    if (at instanceof DockerfileError && at.ranges.length > 0) return { file: 0, ranges: at.ranges };
  }
  return undefined;
}

/** Before there is a plan, an error brings the file that it is about: `source: { name, text }`. */
function ownSource(error: unknown): { readonly name: string; readonly text: string } | undefined {
  for (const at of chain(error)) {
    const source = "source" in at ? at.source : undefined;
    if (typeof source !== "object" || source === null) continue;
    if (!("name" in source) || !("text" in source)) continue;
    if (typeof source.name === "string" && typeof source.text === "string")
      return { name: source.name, text: source.text };
  }
  return undefined;
}
