import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import type { Lease } from "../content/content.ts";

/**
 * Distribution: the client side of the OCI distribution spec v1.1 (and Docker Registry v2): resolve a name to a descriptor,
 * fetch blobs into content with resume, push them back. Mirrors, insecure registries, certificates and proxies come from the
 * daemon's config, credentials from each request. Documents and blobs are checked against their digests before they exist.
 *
 *     using lease = content.lease();
 *     const image = await client.resolve(ref, { auth, platform, lease, signal });
 *     const config = await fetcher.config(ref, image, { auth, lease, signal });
 *     const layers = fetcher.layers(ref, needed, { auth, lease, signal, onLayer: show });
 *     for (const [index, layer] of layers.entries()) { await layer; await unpack(needed[index]); }
 */
export interface RegistryClient {
  /** Resolves tag or digest; for an index picks the best manifest for `platform`. Throws not-found, unauthorized, unavailable. */
  resolve(ref: Reference, options: RemoteOptions): Promise<ResolvedImage>;
  /** Fetches one blob into content, resuming and retrying; `onProgress` gets bytes so far and in all. */
  fetch(ref: Reference, blob: Descriptor, options: RemoteOptions & FetchOptions): Promise<void>;
  /** Makes the manifest or index that a tag or digest names exist in content; gives what it is. */
  document(ref: Reference, options: RemoteOptions): Promise<Descriptor>;
  /** All tags of a repository, in the registry's order. */
  listTags(ref: Reference, options: RemoteOptions): Promise<readonly string[]>;
  /** What a name points at, and for which platforms (GET /distribution/{name}/json). */
  describe(
    ref: Reference,
    options: RemoteOptions,
  ): Promise<{ readonly target: Descriptor; readonly platforms: readonly Platform[] }>;
  /**
   * Repositories of a registry ("docker.io", "host:port") that its search finds for a term, best first, at most `limit`. One
   * without Docker's search has its catalog looked through. Throws unavailable, unauthorized.
   */
  search(
    domain: string,
    term: string,
    limit: number,
    options: RemoteOptions,
  ): Promise<readonly FoundRepository[]>;
  /** Checks credentials at a registry (POST /auth); `server` as the CLI sends it, empty for Docker Hub. Throws unauthorized. */
  login(
    server: string,
    auth: AuthConfig,
    signal?: AbortSignal,
  ): Promise<{ readonly status: string; readonly identityToken?: string }>;
}

/** One line of a registry's answer to a search. */
export interface FoundRepository {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
}

/** The way back: blobs first, then the manifest that names them. */
export interface Pusher {
  /** Makes `blob` (which is in content) exist in the repository: by finding it there, mounting it, or sending it. */
  push(ref: Reference, blob: Descriptor, options: PushOptions): Promise<"exists" | "mounted" | "uploaded">;
  /** The same without sending it, for a blob that may not be in content: undefined when the repository still lacks it. */
  offer(ref: Reference, blob: Descriptor, options: PushOptions): Promise<"exists" | "mounted" | undefined>;
  /** Puts a manifest or index under the reference's tag, or under its digest when it has no tag. */
  pushManifest(
    ref: Reference,
    document: Uint8Array,
    mediaType: string,
    options: RemoteOptions,
  ): Promise<Descriptor>;
}

/** Parallel downloads with a limit over all pulls; two pulls of the same blob share one download. */
export interface ImageFetcher {
  /** Fetches and parses the image's config, which says what layers mean before they are fetched. */
  config(ref: Reference, image: ResolvedImage, options: RemoteOptions): Promise<ImageConfig>;
  /**
   * Starts fetching all these layers; one promise each, in their order, so that unpacking starts while others still come.
   * The first failure ends the rest. Nobody has to await them all.
   */
  layers(
    ref: Reference,
    layers: readonly Descriptor[],
    options: RemoteOptions & { readonly onLayer?: (layer: Descriptor, event: LayerEvent) => void },
  ): readonly Promise<void>[];
}

export type LayerEvent =
  | { readonly kind: "waiting" }
  | { readonly kind: "downloading"; readonly done: number; readonly total: number }
  | { readonly kind: "retrying"; readonly reason: string; readonly seconds: number }
  /** `already`: it was in content before. */
  | { readonly kind: "complete"; readonly already: boolean };

export interface ResolvedImage {
  /** What the name pointed at (an index or a manifest): the digest `pull` prints. Its document is in content already. */
  readonly target: Descriptor;
  /** Manifest for the platform; its document is in content already. */
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface RemoteOptions {
  readonly auth?: AuthConfig | undefined;
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Gets every digest before its bytes enter content, so that no collection takes them from under the pull. */
  readonly lease?: Lease | undefined;
  /** Told of each endpoint that was tried or passed over. */
  readonly onTrial?: ((trial: Trial) => void) | undefined;
}

/** What came of one endpoint of a registry, for people who ask where their images come from. */
export interface Trial {
  /** "https://mirror.example:5000" */
  readonly endpoint: string;
  /** What the repository is called there. */
  readonly repository: string;
  /** Why it is among the endpoints: "--registry-mirror", a file, "the registry itself". */
  readonly source: string;
  /** "manifest 1.2", "blob sha256:…" */
  readonly asked: string;
  readonly outcome: "answered" | "failed" | "skipped";
  /** Why it was skipped, or how it failed. */
  readonly detail: string;
  readonly milliseconds: number;
}

export interface FetchOptions {
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly onRetry?: ((reason: string, seconds: number) => void) | undefined;
}

export interface PushOptions extends RemoteOptions, FetchOptions {
  /** Repositories of the same registry that may hold the blob, to mount it from. */
  readonly mountFrom?: readonly Reference[] | undefined;
}
