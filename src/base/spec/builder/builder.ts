import type { Definition } from "../buildkit/pb.gen.ts";
import type { Platform } from "../oci/descriptor.ts";
import type { ProgressSink } from "./progress.ts";
import type { ReadableTree } from "./readable-tree.ts";
import type { BuildRequest } from "./request.ts";
import type { BuildSession } from "./session.ts";

/**
 * A builder as the API's routes call it: it resolves, plans, solves and exports. `Plan` is what it tells of a plan: whoever only shows builds needs
 * the files.
 */
export interface Builder<Plan extends BuildSources = BuildSources> {
  /** Resolves and plans; nothing is made but what the plan depends on. Hold it for as long as its client may come back to it. */
  plan(request: BuildRequest, session: BuildSession, options: BuildOptions<Plan>): Promise<PlannedBuild>;
  /** A plan of targets that were planned apart, as clients put results together; `request` says what is common. */
  combine(parts: readonly CombinedTarget[], request: BuildRequest, session: BuildSession): PlannedBuild;
  /** Runs a frontend's image, which is served over `stdio`; resolves when it ended well. */
  frontend(asked: AskedFrontend, stdio: StepStdio, session: BuildSession, watch: BuildWatch): Promise<void>;
  /** What an image says of itself. */
  image(asked: AskedImage, session: BuildSession, watch: BuildWatch): Promise<FoundImage>;
  build(request: BuildRequest, session: BuildSession, options: BuildOptions<Plan>): Promise<BuildOutcome>;
  /** Only reads: `--call check|outline|targets`, `--check`. The reply as BuildKit's subrequests have it (result.json, result.txt). */
  call(
    method: "check" | "outline" | "targets",
    request: BuildRequest,
    session: BuildSession,
    watch: BuildWatch,
  ): Promise<Readonly<Record<string, Uint8Array>>>;
}

/** How a build is watched, and ended. */
export interface BuildWatch {
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
}

export interface BuildOptions<Plan extends BuildSources = BuildSources> extends BuildWatch {
  /** The Dockerfile was read. */
  readonly onDefinition?: () => void;
  /** Told before the first step runs. */
  readonly onPlan?: (plan: Plan) => void;
  /** Has the frontend's image plan that the file's "syntax" line names; what is planned here is nothing then. Absent: the built-in one plans. */
  readonly forward?: (source: string, cmdline: string) => Promise<void>;
}

/** Dockerfiles of a build; locations of steps and warnings point into `files`. */
export interface BuildSources {
  readonly files: readonly { readonly name: string; readonly text: string }[];
}

/** A build before it is made: clients look at its results, take them to other builds, and have it built. */
export interface PlannedBuild extends Disposable {
  /** One for each platform asked for, in that order. */
  readonly targets: readonly TargetRef[];
  /** Makes it. Outputs and caches are those of `request`. */
  build(request: BuildRequest, watch: BuildWatch): Promise<BuildOutcome>;
}

export interface TargetRef {
  readonly platform: Platform;
  /** Of LLB: another build that is given this builds on the result. */
  readonly definition: Definition;
  /** Its image config as JSON, without layers; undefined: it is a tree and nothing else. */
  readonly config: string | undefined;
  /** Brings the tree; it stays until the plan is disposed of. */
  evaluate(watch: BuildWatch): Promise<void>;
  /** Brings the tree and looks at it. Paths as the client says them; links are followed inside the tree. */
  read<T>(look: (tree: ReadableTree) => T | Promise<T>, watch: BuildWatch): Promise<T>;
}

/** A result that a client returns, with what it says of it. */
export interface CombinedTarget {
  readonly target: TargetRef;
  readonly platform: Platform | undefined;
  /** As `TargetRef.config`. */
  readonly config: string | undefined;
}

export interface BuildOutcome {
  /** BuildKit's exporter response: "containerimage.digest", "containerimage.config.digest", "image.name", …; the metadata file has them. */
  readonly response: Readonly<Record<string, string>>;
  /** Of the image that was made for this host's platform, if one was. */
  readonly imageId: string | undefined;
  /** Where each target came from, told in full (`mode=max`); made when it is asked for. */
  readonly provenance: () => readonly Provenance[];
}

export interface Provenance {
  /** "linux/amd64" */
  readonly platform: string;
  /** Of the predicate: "https://slsa.dev/provenance/v0.2". */
  readonly type: string;
  readonly predicate: object;
}

export interface AskedFrontend {
  /** Reference of its image. */
  readonly source: string;
  readonly env: readonly string[];
  /** What it must be able to do, by BuildKit's names with commas between. */
  readonly caps: string | undefined;
  /** The client hands it trees. */
  readonly hasInputs: boolean;
}

/** Standard input and output of a program that is spoken with. */
export interface StepStdio {
  readonly input: AsyncIterable<Uint8Array>;
  /** The next piece is read when it has resolved. */
  output(bytes: Uint8Array): void | Promise<void>;
}

export interface AskedImage {
  readonly reference: string;
  readonly platform: Platform;
  /** "pull": its registry is asked even if it is here. */
  readonly mode: string;
  /** Of an OCI layout: the client's content store that has it. */
  readonly store?: string;
}

export interface FoundImage {
  /** Canonical. */
  readonly reference: string;
  /** The same with the digest that it has now, if one is known. */
  readonly pinned: string;
  readonly digest: string;
  /** JSON. */
  readonly config: Uint8Array;
}
