import type { FileHandle } from "node:fs/promises";
import { open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { errnoOf, storageError } from "../../base/lib/storage-error.ts";
import { Digester, splitDigest } from "../../base/spec/oci/digest.ts";
import type { BlobInfo, ExpectedBlob, Ingest } from "./content.ts";

/** Small chunks are gathered to this before they are written; what a crash can lose of a partial. */
const bufferSize = 256 * 1024;
/** So many bytes are given to the disk while the next ones come, so that the sync of the commit has little left to wait for. */
const syncEvery = 32 * 1024 * 1024;

interface Deps {
  /** The partial file. */
  readonly partial: string;
  readonly expected: ExpectedBlob | undefined;
  /** Where a complete blob lives. */
  readonly blobPath: (blob: BlobInfo) => string;
  /** True when the blob exists already. */
  readonly exists: (blob: BlobInfo) => boolean;
  /** Frees the ref for the next writer; called exactly once. */
  readonly release: () => void;
}

/** An ingest into `<root>/ingest/`: the partial is re-hashed when it is resumed, for a hash state cannot be kept on disk. */
export class FileIngest implements Ingest {
  readonly #deps: Deps;
  readonly #file: FileHandle;
  #digester: Digester;
  readonly #buffer = new Uint8Array(bufferSize);
  #buffered = 0;
  #written = 0;
  #state: "open" | "broken" | "closed" = "open";
  /** What was written when the last early sync began, and the sync that is under way. */
  #syncedAt = 0;
  #syncing: Promise<void> | undefined;
  #syncFailure: { readonly error: unknown } | undefined;
  #onWritten: ((size: number) => void) | undefined;

  private constructor(deps: Deps, file: FileHandle) {
    this.#deps = deps;
    this.#file = file;
    this.#digester = FileIngest.#newDigester(deps);
  }

  static #newDigester(deps: Deps): Digester {
    return new Digester(deps.expected ? splitDigest(deps.expected.digest).algorithm : "sha256");
  }

  static async open(deps: Deps): Promise<FileIngest> {
    const file = await open(deps.partial, "a+", 0o600).catch((error: unknown) => {
      throw storageError(error, "open", deps.partial);
    });
    try {
      const ingest = new FileIngest(deps, file);
      await ingest.#resume();
      return ingest;
    } catch (error) {
      await file.close();
      throw storageError(error, "read", deps.partial);
    }
  }

  get offset(): number {
    return this.#written + this.#buffered;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    const size = this.#deps.expected?.size;
    if (size !== undefined && this.offset + chunk.byteLength > size) {
      this.#state = "broken";
      throw wrongContent(this.#deps.expected?.digest, `it is longer than ${size} bytes`);
    }
    this.#digester.update(chunk);
    if (this.#buffered + chunk.byteLength <= bufferSize) {
      this.#buffer.set(chunk, this.#buffered);
      this.#buffered += chunk.byteLength;
      return;
    }
    await this.#flush();
    if (chunk.byteLength >= bufferSize) return await this.#append(chunk);
    this.#buffer.set(chunk, 0);
    this.#buffered = chunk.byteLength;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    if (this.#state === "closed") this.#check();
    if (at < this.#written) {
      const length = Math.min(into.byteLength, this.#written - at);
      return (await this.#file.read(into, 0, length, at)).bytesRead;
    }
    const waiting = this.#buffer.subarray(at - this.#written, this.#buffered).subarray(0, into.byteLength);
    into.set(waiting);
    return waiting.byteLength;
  }

  follow(onWritten: (size: number) => void): string {
    this.#onWritten = onWritten;
    onWritten(this.#written);
    return this.#deps.partial;
  }

  async reset(): Promise<void> {
    if (this.#state === "closed") this.#check();
    await this.#file.truncate(0);
    this.#digester = FileIngest.#newDigester(this.#deps);
    this.#buffered = 0;
    this.#written = 0;
    this.#state = "open";
  }

  async commit(digest?: Digest): Promise<BlobInfo> {
    this.#check();
    try {
      await this.#flush();
      if (digest !== undefined && splitDigest(digest).algorithm !== this.#digester.algorithm) {
        this.#digester = new Digester(splitDigest(digest).algorithm);
        await this.#hashFrom(0);
      }
      const blob: BlobInfo = { digest: this.#digester.digest(), size: this.#written };
      this.#verify(blob);
      if (digest !== undefined && blob.digest !== digest)
        throw wrongContent(digest, `it hashes to ${blob.digest}`);
      const path = this.#deps.blobPath(blob);
      if (this.#deps.exists(blob)) {
        await unlink(this.#deps.partial);
        // Whoever brought it may not have come as far as making its name durable; what is on disk already costs nothing.
        await syncDirectory(dirname(path));
      } else {
        await this.#syncing;
        if (this.#syncFailure) throw this.#syncFailure.error;
        // The bytes reach the disk before the name does, and the name before anybody records it (man 2 fsync, "directory").
        await this.#file.sync();
        await rename(this.#deps.partial, path);
        await syncDirectory(dirname(path));
      }
      await this.#close();
      return blob;
    } catch (error) {
      // Verified bytes whose fsync or rename failed are dropped as well: nobody knows what the disk holds of them.
      await this.abort();
      throw storageError(error, "commit", this.#deps.partial);
    }
  }

  async abort(): Promise<void> {
    if (this.#state === "closed") return;
    try {
      await unlink(this.#deps.partial);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw storageError(error, "remove", this.#deps.partial);
    } finally {
      await this.#close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "closed") return;
    // A partial that can never be committed, or that filled the disk, only takes room.
    if (this.#state === "broken" || this.offset === 0) return await this.abort();
    try {
      await this.#flush();
    } catch {
      return await this.abort();
    }
    await this.#close();
  }

  #check(): void {
    if (this.#state === "open") return;
    throw new TugError("internal", `ingest ${this.#deps.partial} is ${this.#state}`);
  }

  #verify(blob: BlobInfo): void {
    const expected = this.#deps.expected;
    if (!expected) return;
    if (expected.size !== undefined && blob.size !== expected.size) {
      throw wrongContent(expected.digest, `it has ${blob.size} bytes, not ${expected.size}`);
    }
    if (blob.digest !== expected.digest) throw wrongContent(expected.digest, `it hashes to ${blob.digest}`);
  }

  async #resume(): Promise<void> {
    const { size } = await this.#file.stat();
    const wanted = this.#deps.expected?.size;
    if (wanted !== undefined && size > wanted) return await this.#file.truncate(0);
    this.#written = await this.#hashFrom(0);
  }

  /** Hashes what the file holds from `at` on; returns where it ends. */
  async #hashFrom(at: number): Promise<number> {
    for (;;) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, bufferSize, at);
      if (bytesRead === 0) return at;
      this.#digester.update(this.#buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  }

  async #flush(): Promise<void> {
    const count = this.#buffered;
    if (count === 0) return;
    this.#buffered = 0;
    await this.#append(this.#buffer.subarray(0, count));
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.byteLength; ) {
        // Opened with O_APPEND: a short write continues where the file ends.
        at += (await this.#file.write(bytes, at, bytes.byteLength - at)).bytesWritten;
      }
      this.#written += bytes.byteLength;
      this.#onWritten?.(this.#written);
      this.#syncEarly();
    } catch (error) {
      this.#state = "broken";
      throw storageError(error, "write", this.#deps.partial);
    }
  }

  #syncEarly(): void {
    if (this.#syncing || this.#written - this.#syncedAt < syncEvery) return;
    this.#syncedAt = this.#written;
    this.#syncing = this.#file
      .datasync()
      .catch((error: unknown) => {
        // A descriptor reports lost writes once (fsync(2)): the sync of the commit would not know of them.
        this.#syncFailure = { error };
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  async #close(): Promise<void> {
    this.#state = "closed";
    try {
      await this.#syncing;
      await this.#file.close();
    } finally {
      this.#deps.release();
    }
  }
}

/** dockerd's words for content that is not what its digest or size says; the difference is the cause. */
function wrongContent(digest: Digest | undefined, difference: string): TugError {
  return new TugError("data-loss", `filesystem layer verification failed for digest ${digest}`, {
    cause: new Error(difference),
  });
}

/** Makes the names in a directory durable. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
