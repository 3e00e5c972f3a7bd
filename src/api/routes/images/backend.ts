import type {
  AttestationStatement,
  ImageDeleteResponseItem,
  ImageHistoryResponseItem,
  ImageInspect,
  ImageSummary,
} from "../../../base/spec/docker/api.gen.ts";
import type { AuthConfig } from "../../../base/spec/docker/auth-config.ts";
import type {
  DistributionManifest,
  ImageBootstrapRequest,
  ImageInventory,
} from "../../../base/spec/docker/extensions.ts";
import type { ProgressMessage } from "../../../base/spec/docker/progress.ts";
import type { Filters } from "../../filters.ts";

export interface ImageBackend {
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly sharedSize: boolean;
    readonly digests: boolean;
    readonly manifests: boolean;
    /** With `manifests`: where they came from (API 1.54). */
    readonly identity?: boolean;
  }): Promise<readonly ImageSummary[]>;
  inspect(
    reference: string,
    options?: { readonly manifests: boolean; readonly platform: string | undefined },
  ): Promise<ImageInspect>;
  history(
    reference: string,
    options?: { readonly platform: string | undefined },
  ): Promise<readonly ImageHistoryResponseItem[]>;
  /** In-toto statements that came with the image; of these predicate types, or all. */
  attestations(
    reference: string,
    options: {
      readonly platform: string | undefined;
      readonly types: readonly string[];
      readonly statement: boolean;
    },
  ): Promise<readonly AttestationStatement[]>;
  tag(source: string, repo: string, tag: string): Promise<void>;
  remove(
    reference: string,
    options: {
      readonly force: boolean;
      readonly noPrune: boolean;
      /** Only these platforms of the image; empty: all. */
      readonly platforms?: readonly string[];
    },
  ): Promise<readonly ImageDeleteResponseItem[]>;
  /** Errors before the first message become an HTTP error; later ones an errorDetail line. */
  pull(
    reference: string,
    options: {
      readonly platform: string | undefined;
      readonly auth: AuthConfig | undefined;
      readonly allTags: boolean;
      readonly explain: boolean;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  push(
    reference: string,
    options: {
      readonly tag: string | undefined;
      readonly platform: string | undefined;
      readonly auth: AuthConfig | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  /** A base image from a distributor's packages; errors as in a pull. */
  bootstrap(request: ImageBootstrapRequest, signal: AbortSignal): AsyncIterable<ProgressMessage>;
  import(
    source: ReadableStream<Uint8Array>,
    options: {
      readonly repo: string;
      readonly tag: string;
      readonly message: string;
      readonly changes: readonly string[];
      readonly platform: string | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  load(
    tar: ReadableStream<Uint8Array>,
    options: {
      readonly quiet: boolean;
      readonly platforms: readonly string[];
      /** Blobs that came whole stay for a while when the rest does not come. */
      readonly keep?: boolean;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  inventory(): Promise<ImageInventory>;
  save(
    references: readonly string[],
    options: {
      readonly platforms: readonly string[];
      /** Layers that this side has are left out. */
      readonly missingOn?: ImageInventory | undefined;
    },
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>;
  prune(filters: Filters): Promise<{
    readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null;
    readonly SpaceReclaimed: number;
  }>;
  search(
    term: string,
    options: {
      readonly limit: number | undefined;
      readonly filters: Filters;
      readonly auth: AuthConfig | undefined;
    },
    signal: AbortSignal,
  ): Promise<readonly unknown[]>;
  /** A registry's manifest or index as it is; `insecure`: with any certificate or none. */
  readManifest(
    reference: string,
    options: { readonly auth: AuthConfig | undefined; readonly insecure: boolean },
  ): Promise<DistributionManifest>;
  /** Puts an index into a registry; what it lists is mounted or copied from the repositories `from`. */
  writeManifest(
    reference: string,
    document: Uint8Array,
    options: {
      readonly auth: AuthConfig | undefined;
      readonly insecure: boolean;
      readonly mediaType: string;
      readonly from: readonly string[];
    },
    signal: AbortSignal,
  ): Promise<{ readonly Digest: string }>;
}
