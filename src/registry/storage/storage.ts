import type { Digest } from "../../base/lib/ids.ts";
import type { BlobInfo, Ingest } from "../../core/content/content.ts";

/**
 * Where the registry's bytes lie. Storage knows digests and nothing else: which repository has a blob, and whether anybody still needs
 * it, is in the records. Whoever writes or deletes a blob holds its lock (`BlobLocks`), so a driver never sees both at once.
 *
 *     const upload = await storage.begin(id);                // or goes on where an earlier process stopped
 *     await upload.write(chunk);
 *     await upload.commit(digest);                           // durable when this resolves; data-loss when it is another blob
 *     await using reader = await storage.open(digest);
 *     for await (const piece of reader.pieces(0, reader.size)) await send(piece);
 */
export interface BlobStorage {
  /** What tells this storage from another, kept in the records: they mean nothing beside other bytes. */
  readonly identity: string;
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  /** True only when storage was asked and answers as it should, and the blob is not there: what `stat` says may be an outage. */
  confirmMissing(digest: Digest): Promise<boolean>;
  /** The whole blob, checked against its digest; `limit` in bytes. Throws not-found, data-loss. */
  read(digest: Digest, limit: number): Promise<Uint8Array>;
  /** Opens for reading; what is open stays readable when the blob is deleted. Throws not-found. */
  open(digest: Digest): Promise<BlobReader>;
  /** Begins or resumes an upload; one writer an id at a time. */
  begin(id: string): Promise<Ingest>;
  /** Stores a document at once. */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** No error when it is not there. */
  delete(digest: Digest): Promise<void>;
  /** Everything there is, without order: for the search for what no record names. */
  list(): AsyncIterable<BlobInfo>;
  /** Drops what unfinished uploads left that nobody has touched for so long; returns bytes. */
  dropPartials(olderThanMs: number): Promise<number>;
}

export interface BlobReader extends AsyncDisposable {
  readonly size: number;
  /** Bytes `start` to `end` (exclusive). A piece is valid until the next one is asked for. */
  pieces(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}
