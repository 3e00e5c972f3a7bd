import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { readdir, readFile, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { abortable } from "../../base/lib/abort.ts";
import { invalid, notFound, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { Mutex } from "../../base/lib/mutex.ts";
import { errnoOf, storageError } from "../../base/lib/storage-error.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { Digester, digestOf, splitDigest } from "../../base/spec/oci/digest.ts";
import type {
  BlobInfo,
  ContentCollector,
  ContentStore,
  ExpectedBlob,
  Ingest,
  Lease,
  Pieces,
} from "./content.ts";
import { FileIngest } from "./file-ingest.ts";
import { Leases } from "./leases.ts";
import { PieceFiles } from "./pieces.ts";

const algorithms = ["sha256", "sha384", "sha512"] as const;
const hexLength = { sha256: 64, sha384: 96, sha512: 128 } as const;

/**
 * Content as files: `<root>/blobs/<algorithm>/<hex>` (the layout of an OCI image directory), partial ingests as
 * `<root>/ingest/<hash of ref and digest>`, and `<root>/trash/` for blobs that garbage collection has taken out of sight
 * but not deleted yet. One process owns a root.
 */
export class FileContentStore implements ContentStore, ContentCollector {
  readonly #root: string;
  readonly #trash: string;
  readonly #leases = new Leases();
  /** Refs being written, and who waits for them. */
  readonly #open = new Map<string, { readonly mutex: Mutex; digest: Digest | undefined }>();

  /** Makes the directories (0700) and empties the trash of the daemon before. */
  constructor(deps: { readonly root: string }) {
    this.#root = deps.root;
    this.#trash = join(deps.root, "trash");
    for (const directory of ["", "blobs", "ingest", "trash", ...algorithms.map((name) => `blobs/${name}`)]) {
      const path = join(this.#root, directory);
      try {
        mkdirSync(path, { recursive: true, mode: 0o700 });
        // mkdir obeys the umask and leaves an existing directory alone.
        chmodSync(path, 0o700);
      } catch (error) {
        throw storageError(error, "mkdir", path);
      }
    }
    for (const name of readdirSync(this.#trash)) rmSync(join(this.#trash, name), { force: true });
  }

  stat(digest: Digest): BlobInfo | undefined {
    const info = statSync(this.#path(digest), { throwIfNoEntry: false });
    return info?.isFile() ? { digest, size: info.size } : undefined;
  }

  path(digest: Digest): string {
    if (!this.stat(digest)) throw notFound(`content ${digest}: not found`);
    return this.#path(digest);
  }

  async read(digest: Digest, limit: number): Promise<Uint8Array> {
    const path = this.path(digest);
    const { size } = await stat(path);
    if (size > limit)
      throw new TugError("data-loss", `content ${digest} has ${size} bytes, over the limit of ${limit}`);
    const bytes = await readFile(path).catch((error: unknown) => {
      throw errnoOf(error) === "ENOENT"
        ? notFound(`content ${digest}: not found`)
        : storageError(error, "read", path);
    });
    // Documents are small and everything else is derived from them: a bad sector is told here, not three floors up.
    const check = new Digester(splitDigest(digest).algorithm);
    check.update(bytes);
    if (check.digest() !== digest)
      throw new TugError("data-loss", `content ${digest} is damaged on disk (${path})`);
    return bytes;
  }

  stream(digest: Digest, offset = 0): ReadableStream<Uint8Array> {
    return Bun.file(this.path(digest)).slice(offset).stream();
  }

  async ingest(ref: string, expected?: ExpectedBlob, signal?: AbortSignal): Promise<Ingest> {
    const name = partialName(ref, expected?.digest);
    let slot = this.#open.get(ref);
    if (!slot) {
      slot = { mutex: new Mutex(), digest: undefined };
      this.#open.set(ref, slot);
    }
    const held = slot;
    const free = (lock: Disposable) => {
      lock[Symbol.dispose]();
      if (held.mutex.idle) this.#open.delete(ref);
    };
    const lock = await abortable(held.mutex.lock(), signal, free);
    held.digest = expected?.digest;
    const done = () => {
      held.digest = undefined;
      free(lock);
    };
    try {
      return await FileIngest.open({
        partial: join(this.#root, "ingest", name),
        expected,
        blobPath: (blob) => this.#path(blob.digest),
        exists: (blob) => this.stat(blob.digest) !== undefined,
        release: done,
      });
    } catch (error) {
      done();
      throw error;
    }
  }

  pieces(ref: string, expected: ExpectedBlob): Pieces {
    return new PieceFiles(join(this.#root, "ingest", partialName(ref, expected.digest)));
  }

  async put(bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
    const digest = digestOf(bytes);
    const descriptor: Descriptor = { mediaType, digest, size: bytes.byteLength };
    if (this.stat(digest)) return descriptor;
    await using ingest = await this.ingest(`put-${digest}`, descriptor);
    if (ingest.offset > 0) await ingest.reset();
    await ingest.write(bytes);
    await ingest.commit();
    return descriptor;
  }

  *list(): Iterable<BlobInfo> {
    for (const algorithm of algorithms) {
      for (const hex of readdirSync(join(this.#root, "blobs", algorithm))) {
        if (hex.length !== hexLength[algorithm] || !/^[a-f0-9]+$/.test(hex)) continue;
        const info = this.stat(`${algorithm}:${hex}` as Digest);
        if (info) yield info;
      }
    }
  }

  async delete(digest: Digest): Promise<void> {
    await unlink(this.#path(digest)).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw storageError(error, "remove", this.#path(digest));
    });
  }

  lease(digests?: readonly Digest[]): Lease {
    return this.#leases.open(digests);
  }

  async collect(roots: () => Iterable<Digest>): Promise<readonly BlobInfo[]> {
    // No await between asking for the roots and the last rename: see the contract.
    const gone = this.unreached(roots());
    for (const blob of gone)
      renameSync(this.#path(blob.digest), join(this.#trash, splitDigest(blob.digest).hex));
    await this.#emptyTrash();
    return gone;
  }

  unreached(roots: Iterable<Digest>): readonly BlobInfo[] {
    const keep = new Set(roots);
    for (const slot of this.#open.values()) if (slot.digest) keep.add(slot.digest);
    return [...this.list()].filter(({ digest }) => !keep.has(digest) && !this.#leases.has(digest));
  }

  partialSize(): number {
    const folder = join(this.#root, "ingest");
    return readdirSync(folder).reduce((sum, name) => {
      const info = statSync(join(folder, name), { throwIfNoEntry: false });
      return sum + (info ? info.blocks * 512 : 0);
    }, 0);
  }

  async dropPartials(olderThanMs: number): Promise<number> {
    const busy = this.#busyPartials();
    let freed = 0;
    for (const name of await readdir(join(this.#root, "ingest"))) {
      const path = join(this.#root, "ingest", name);
      const info = statSync(path, { throwIfNoEntry: false });
      if (!info || Date.now() - info.mtimeMs < olderThanMs || busy(name.replace(/\..*$/, ""))) continue;
      await rm(path, { force: true });
      freed += info.size;
    }
    return freed;
  }

  /** Which partial files belong to a ref that is open now. */
  #busyPartials(): (name: string) => boolean {
    return (name) => {
      for (const [ref, slot] of this.#open) {
        if (partialName(ref, slot.digest) === name) return true;
      }
      return false;
    };
  }

  async #emptyTrash(): Promise<void> {
    for (const name of await readdir(this.#trash)) await rm(join(this.#trash, name), { force: true });
  }

  #path(digest: Digest): string {
    const { algorithm, hex } = splitDigest(digest);
    // The type says that it was parsed; a digest that a cast let through must still never become a path.
    if (!/^[a-f0-9]+$/.test(hex) || hex.length !== hexLength[algorithm]) {
      throw invalid(`invalid digest: ${JSON.stringify(digest)}`);
    }
    return join(this.#root, "blobs", algorithm, hex);
  }
}

/** The digest is part of the name: bytes of another blob under the same ref are never continued. */
function partialName(ref: string, digest: Digest | undefined): string {
  return splitDigest(digestOf(`${ref}\0${digest ?? ""}`)).hex;
}
