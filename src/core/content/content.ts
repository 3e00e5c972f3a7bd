import type { Digest } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";

/**
 * Content: immutable blobs named by their digest.
 *
 * A blob enters through an *ingest*: bytes are appended to a partial file that survives a crash or a lost connection, the
 * running hash is checked against the expected digest at `commit`, and only then does the blob exist. Partial ingests are
 * first-class: `ingest(ref)` on a ref seen before resumes at `offset`. A *lease* keeps blobs alive while an operation that
 * will reference them is under way; garbage collection removes every blob that no root (image record, lease) reaches.
 *
 *     await using ingest = await content.ingest(`layer-${digest}`, descriptor);
 *     for await (const chunk of body(ingest.offset)) await ingest.write(chunk);
 *     await ingest.commit();          // throws data-loss on a digest or size mismatch, and discards the bytes
 */
export interface ContentStore {
  /** Size in bytes of a complete blob, or undefined. */
  stat(digest: Digest): BlobInfo | undefined;
  /** Absolute path of a complete blob, for readers in other processes; throws not-found. */
  path(digest: Digest): string;
  /** Whole blob; `limit` (bytes) guards against huge documents. Throws not-found, data-loss when over the limit. */
  read(digest: Digest, limit: number): Promise<Uint8Array>;
  stream(digest: Digest, offset?: number): ReadableStream<Uint8Array>;
  /**
   * Opens (or resumes) an ingest. One at a time a ref: a second call waits until the first is disposed, committed or aborted.
   * With `expected`, more bytes than its size are refused at once.
   */
  ingest(ref: string, expected?: ExpectedBlob, signal?: AbortSignal): Promise<Ingest>;
  /**
   * The pieces of that ingest that came before the bytes in front of them: for who fetches a large blob in several ranges at once. Only
   * whoever holds the ingest open may touch them; they stay until they are removed, like a partial.
   */
  pieces(ref: string, expected: ExpectedBlob): Pieces;
  /** Stores a small document at once and returns its descriptor. */
  put(bytes: Uint8Array, mediaType: string): Promise<Descriptor>;
  list(): Iterable<BlobInfo>;
  /** Bytes on disk of what has come of unfinished ingests: resumed by the next attempt, dropped by `dropPartials`. */
  partialSize(): number;
  delete(digest: Digest): Promise<void>;
  /** Blobs named by a live lease are never collected. Leases of a dead daemon end at its next start. */
  lease(digests?: readonly Digest[]): Lease;
}

/**
 * Garbage collection, for whoever knows the roots. `roots` is asked once, in the same turn of the event loop in which every
 * unreached, unleased blob disappears from the store, so a blob that is leased or recorded before or after is never lost.
 */
export interface ContentCollector {
  /** Deletes what neither `roots`, a live lease nor an open ingest names; returns what went. */
  collect(roots: () => Iterable<Digest>): Promise<readonly BlobInfo[]>;
  /** What `collect` would take now. */
  unreached(roots: Iterable<Digest>): readonly BlobInfo[];
  /** Drops partial ingests nobody writes to; returns the bytes freed. */
  dropPartials(olderThanMs: number): Promise<number>;
}

export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** What a descriptor says of a blob; `size` may be unknown (schema 2 allows a registry not to tell). */
export type ExpectedBlob = Pick<Descriptor, "digest"> & { readonly size?: number };

export interface Ingest extends AsyncDisposable {
  /** Bytes already held from an earlier attempt; the writer continues here. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Bytes that were written before, from `at` on: for who follows an ingest while it comes. Returns how many; not while it is committed. */
  read(into: Uint8Array, at: number): Promise<number>;
  /**
   * For a reader in another process that follows the bytes while they come: tells how many are in the file, at once and whenever more
   * are. Returns the file's path, to be opened before the ingest is committed or aborted. Left out where there is no such file.
   */
  follow?(onWritten: (size: number) => void): string;
  /** Throws away what was received, to start again at 0. */
  reset(): Promise<void>;
  /**
   * Checks digest and size, syncs, renames into place. Idempotent when the blob exists already. `digest` is for a writer that learns it
   * only at the end: when its algorithm is not the one that was hashed along (sha256), the bytes are read once more.
   */
  commit(digest?: Digest): Promise<BlobInfo>;
  /** Removes the partial bytes. Disposal without commit keeps them for resuming. */
  abort(): Promise<void>;
}

/** Side stores of an ingest, each named by the offset in the blob that it begins at. Disposal keeps them. */
export interface Pieces extends AsyncDisposable {
  /** What is there, by offset; an earlier process may have left it. */
  list(): Promise<readonly Piece[]>;
  append(from: number, chunk: Uint8Array): Promise<void>;
  /** Bytes of the piece from its own `at` on; returns how many, 0 at its end. */
  read(from: number, into: Uint8Array, at: number): Promise<number>;
  remove(from: number): Promise<void>;
  clear(): Promise<void>;
}

export interface Piece {
  readonly from: number;
  readonly size: number;
}

export interface Lease extends Disposable {
  add(digest: Digest): void;
}
