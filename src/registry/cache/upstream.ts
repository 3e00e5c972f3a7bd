import { TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";

/**
 * Another registry, as the cache asks it. The registry floor knows no HTTP client: whoever composes it brings one. Failures are told apart by
 * their code: `not-found`, `unauthorized` and `forbidden` are answers; `unavailable` (429, 5xx, no connection, no answer) is none.
 */
export interface Upstream {
  /** The digest a tag has now. Asked with HEAD, which hubs do not count against pull limits. undefined: upstream does not tell that way. */
  digestOf(path: string, tag: string, signal: AbortSignal): Promise<Digest | undefined>;
  manifest(
    path: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }>;
  /** All tags, in any order. */
  tags(path: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Size of a blob, where upstream tells. */
  blobSize(path: string, digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  /** The blob from byte `from` on; upstream may begin at 0 all the same. Disposal ends the transfer. */
  blob(path: string, digest: Digest, from: number, signal: AbortSignal): Promise<UpstreamBlob>;
}

export interface UpstreamBlob extends Disposable {
  /** Of the whole blob; undefined when upstream does not say. */
  readonly size: number | undefined;
  /** Where `chunks` begin. */
  readonly from: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Upstream answered 429: it is there, and does not want to be asked. */
export class TooManyRequests extends TugError {
  /** The Retry-After header as it came. */
  readonly retryAfter: string | undefined;
  constructor(message: string, retryAfter: string | undefined, cause: unknown) {
    super("unavailable", message, { cause });
    this.retryAfter = retryAfter;
  }
}
