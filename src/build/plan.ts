import type { DiffId, Digest } from "../base/lib/ids.ts";
import type { Platform } from "../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../base/spec/oci/image.ts";
import type { Vertex } from "./graph.ts";
import type { BuildWarning } from "./progress.ts";

/** What the planner makes of Dockerfile and request: a frozen value that prints as text. */
export interface BuildPlan {
  /** Dockerfiles by index; `Location.file` points here. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
  /** One for each platform asked for, in that order. */
  readonly targets: readonly PlannedTarget[];
  readonly warnings: readonly BuildWarning[];
}

export interface PlannedTarget {
  readonly platform: Platform;
  /** Name of the stage, or its number. */
  readonly stage: string;
  /** undefined: an empty root (FROM scratch with nothing on it). */
  readonly root: Vertex | undefined;
  /** Without `rootfs`: that is known when the layers are. `history` has the base's entries and the stage's. */
  readonly config: Omit<ImageConfig, "rootfs">;
  /** How many entries of `config.history` are the base's; the stage's own follow, without `created`. */
  readonly inheritedHistory: number;
  /** The image it began from, if any: its layers come first. */
  readonly base:
    | {
        readonly reference: string;
        readonly image: Digest;
        /** Its layers, bottom first, as its config has them. */
        readonly layers: readonly DiffId[];
      }
    | undefined;
  /** The vertices that added a layer each, bottom first; as many as non-empty history entries of the stage. */
  readonly layers: readonly Vertex[];
  /** What the bill of materials covers besides: stages and the context that BUILDKIT_SBOM_SCAN_… names. */
  readonly scanned?: readonly { readonly name: string; readonly root: Vertex | undefined }[];
}

/** What a base image says of itself. */
export interface ResolvedImage {
  /** Digest of index or manifest, as the name has it now; pinned in provenance. */
  readonly digest: Digest | undefined;
  readonly image: Digest;
  readonly config: ImageConfig;
}
