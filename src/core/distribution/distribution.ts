import type { Digest } from "../../base/lib/ids.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";

/**
 * Distribution: the client side of the OCI distribution spec v1.1 (and Docker Registry v2): resolve a name to a descriptor,
 * fetch blobs into content with resume, push them back. Mirrors and insecure registries come from the daemon's config,
 * credentials from each request.
 */
export interface RegistryClient {
  /** Resolves tag or digest; for an index picks the best manifest for `platform`. Throws not-found, unauthorized, unavailable. */
  resolve(ref: Reference, options: RemoteOptions): Promise<ResolvedImage>;
  /** Fetches one blob into content, resuming and retrying; `onProgress` gets bytes so far and in all. */
  fetch(ref: Reference, blob: Descriptor, options: RemoteOptions & FetchOptions): Promise<void>;
  /** Checks credentials at a registry (POST /auth). Throws unauthorized. */
  login(
    server: string,
    auth: RegistryAuth,
  ): Promise<{ readonly status: string; readonly identityToken?: string }>;
}

export interface ResolvedImage {
  /** What the name pointed at (an index or a manifest): the digest `pull` prints. */
  readonly target: Descriptor;
  /** Manifest for the platform; its document is in content already. */
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface RemoteOptions {
  readonly auth?: RegistryAuth;
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

export interface FetchOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly onRetry?: (reason: string, seconds: number) => void;
}

/** X-Registry-Auth, decoded. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serveraddress?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export type BlobDigest = Digest;
