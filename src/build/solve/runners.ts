import type { ChainId, Digest } from "../../base/lib/ids.ts";
import type {
  ChangesOp,
  ExecOp,
  FileOp,
  GitSource,
  HttpSource,
  ImageSource,
  LayoutSource,
  LocalSource,
  RestackOp,
} from "../graph.ts";
import type { SourceRunner, StepContext, StepRunner } from "../run/runner.ts";
import type { RecordType } from "./records.ts";

/** Who does what, by the kind of operation. */
export interface Runners {
  readonly exec: StepRunner<ExecOp>;
  readonly file: StepRunner<FileOp>;
  readonly restack: StepRunner<RestackOp>;
  readonly changes: StepRunner<ChangesOp>;
  readonly image: SourceRunner<ImageSource>;
  readonly "oci-layout": SourceRunner<LayoutSource>;
  readonly local: SourceRunner<LocalSource>;
  readonly http: SourceRunner<HttpSource>;
  readonly git: SourceRunner<GitSource>;
}

/** The tree that a step makes or a source brings. */
export async function snapshotOf(runners: Runners, step: StepContext): Promise<ChainId | undefined> {
  const { op } = step;
  switch (op.kind) {
    case "exec":
      return await runners.exec.run({ ...step, op });
    case "file":
      return await runners.file.run({ ...step, op });
    case "restack":
      return await runners.restack.run({ ...step, op });
    case "changes":
      return await runners.changes.run({ ...step, op });
    case "image":
      return await runners.image.snapshot({ ...step, op });
    case "oci-layout":
      return await runners["oci-layout"].snapshot({ ...step, op });
    case "local":
      return await runners.local.snapshot({ ...step, op });
    case "http":
      return await runners.http.snapshot({ ...step, op });
    case "git":
      return await runners.git.snapshot({ ...step, op });
  }
}

/** A source's key; steps have theirs from what they read. */
export async function keyOfSource(runners: Runners, step: StepContext): Promise<Digest | undefined> {
  const { op } = step;
  switch (op.kind) {
    case "image":
      return await runners.image.key({ ...step, op });
    case "oci-layout":
      return await runners["oci-layout"].key({ ...step, op });
    case "local":
      return await runners.local.key({ ...step, op });
    case "http":
      return await runners.http.key({ ...step, op });
    case "git":
      return await runners.git.key({ ...step, op });
    default:
      return undefined;
  }
}

/** What `builder du` says it is. Local trees are kept by their runner, not as records. */
export function recordType(kind: string): RecordType {
  return kind === "git" ? "source.git.checkout" : "regular";
}
