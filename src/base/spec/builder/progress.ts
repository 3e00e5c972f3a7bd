import type { Digest } from "../../lib/ids.ts";
import type { SourceRange } from "../dockerfile/syntax.ts";

/**
 * What happens in a build, for those who watch: the members of BuildKit's StatusResponse (api/services/control/control.proto), which the
 * `rawjson` progress of clients prints as they are. Times are nanoseconds since the epoch.
 */
export interface ProgressSink {
  vertex(vertex: VertexProgress): void;
  status(status: StatusProgress): void;
  /** What it may return resolves when more may follow. */
  log(log: LogProgress): void | Promise<void>;
  warning(warning: BuildWarning & { readonly vertex: Digest | undefined }): void;
}

export interface VertexProgress {
  readonly digest: Digest;
  readonly inputs: readonly Digest[];
  readonly name: string;
  readonly cached: boolean;
  readonly started: bigint | undefined;
  readonly completed: bigint | undefined;
  readonly error: string | undefined;
}

/** Part of a vertex: a layer that is pulled ("sha256:… 3.1MB / 9.0MB"), a context that is sent ("transferring context"). */
export interface StatusProgress {
  readonly id: string;
  readonly vertex: Digest;
  readonly name: string;
  readonly current: number;
  /** 0: unknown. */
  readonly total: number;
  readonly started: bigint | undefined;
  readonly completed: bigint | undefined;
}

export interface LogProgress {
  readonly vertex: Digest;
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
  readonly at: bigint;
}

export interface BuildWarning {
  /** One line, as BuildKit words it: what a rule finds begins with the rule's name ("StageNameCasing: …"). */
  readonly short: string;
  readonly detail: readonly string[];
  readonly url: string;
  readonly location: { readonly file: number; readonly ranges: readonly SourceRange[] } | undefined;
}
