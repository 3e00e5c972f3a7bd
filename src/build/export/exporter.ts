import type { ChainId, DiffId } from "../../base/lib/ids.ts";
import type { BuildPlan, PlannedTarget } from "../plan.ts";
import type { ProgressSink } from "../progress.ts";
import type { BuildRequest, Output } from "../request.ts";
import type { Result } from "../result.ts";
import type { BuildSession } from "../session.ts";
import type { Pins } from "./attest/materials.ts";
import type { ExportedLayer } from "./layers.ts";

/** A target whose steps are done. Its results are held until every output is written. */
export interface SolvedTarget {
  readonly target: PlannedTarget;
  /** undefined: the empty tree. */
  readonly root: Result | undefined;
  /** What the bill of materials covers besides; solved only when one was asked for. */
  readonly scanned: readonly Result[];
  /** One for each of `target.layers`; made when the first output asks. */
  layers(): Promise<readonly (ExportedLayer | undefined)[]>;
}

/** One output of one build. */
export interface ExportContext {
  readonly request: BuildRequest;
  readonly output: Output;
  readonly plan: BuildPlan;
  readonly targets: readonly SolvedTarget[];
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
  readonly pins: Pins;
  /** When the build began, milliseconds since the epoch. */
  readonly started: number;
  /** What goes into a target's image config for later builds (`--cache-to type=inline`), when its layers are known. */
  readonly inlineCache?: InlineCache;
}

export type InlineCache = (
  target: SolvedTarget,
  /** Of the image, bottom first. */
  layers: readonly { readonly chainId: ChainId; readonly diffId: DiffId }[],
) => Promise<Readonly<Record<string, string>>>;

/** Writes an output. */
export type Exporter = (context: ExportContext) => Promise<ExportReply>;

export type Exporters = Readonly<Record<Output["type"], Exporter>>;

export interface ExportReply {
  /** Goes into the exporter response: "containerimage.digest", "image.name", … */
  readonly response: Readonly<Record<string, string>>;
  /** Of the image in this host's store, where the output makes one. */
  readonly imageId?: string;
}
