import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import type { ImageSource, LayoutSource } from "../../graph.ts";
import type { ResolvedImage } from "../../plan.ts";
import type { BuildSession } from "../../session.ts";
import type { SourceRunner, StepContext, StepProgress } from "../runner.ts";

/** What sources need of the images that are here, and of registries. The daemon implements it over its stores. */
export interface BuildImages {
  /**
   * What a name means for a platform: of the local store, or of its registry (with the session's credentials, for that host only) when it is
   * not here or `pull` is set. Only documents are fetched, no layers. Throws not-found in Docker's words.
   */
  resolve(
    reference: string,
    platform: Platform,
    options: {
      readonly pull: boolean;
      readonly session: BuildSession;
      readonly signal: AbortSignal;
      /** It is in a content store of the client's, and the reference has its digest. */
      readonly store?: string;
    },
  ): Promise<ResolvedImage>;
  /** Of layers, without bringing any in: "" has no layers. */
  chain(image: ImageRef, session: BuildSession, signal: AbortSignal): Promise<ChainId | undefined>;
  /**
   * Brings an image's layers in as snapshots, as few as are missing, with a progress part for each, and returns the top one; undefined for an
   * image without layers. The image gets no name; its layers are kept until the session ends or, if that is later, as long as something is built on them.
   */
  layers(
    image: ImageRef,
    options: {
      readonly session: BuildSession;
      readonly signal: AbortSignal;
      readonly progress: StepProgress;
    },
  ): Promise<ChainId | undefined>;
}

/** An image pinned by the planner. */
export type ImageRef =
  | {
      readonly kind: "image";
      readonly reference: string;
      readonly image: Digest;
      readonly platform: Platform;
    }
  /** Of a content store of the client's, by its manifest's digest. */
  | {
      readonly kind: "oci-layout";
      readonly store: string;
      readonly manifest: Digest;
      readonly platform: Platform;
    };

export interface ImageRunnerDeps {
  readonly images: BuildImages;
}

/** Base images: known by their layers, which are brought in only when a step runs on them. */
export class ImageRunner implements SourceRunner<ImageSource | LayoutSource> {
  readonly #deps: ImageRunnerDeps;

  constructor(deps: ImageRunnerDeps) {
    this.#deps = deps;
  }

  async key({ op, session, signal }: StepContext<ImageSource | LayoutSource>): Promise<Digest> {
    const chain = await this.#deps.images.chain(op, session, signal);
    // A chain id is the digest of the layers' digests; none is the empty tree.
    return (chain ?? emptyTree) as string as Digest;
  }

  async snapshot({ op, session, signal, progress }: StepContext<ImageSource | LayoutSource>) {
    return await this.#deps.images.layers(op, { session, signal, progress });
  }
}

/** SHA-256 of nothing. */
const emptyTree = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
