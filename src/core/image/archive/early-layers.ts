import { detectCompression } from "../../../base/lib/compression/compression.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import type { ContentStore, Ingest } from "../../content/content.ts";
import type { EarlyLayer } from "../unpack/early-layer.ts";
import type { StackUnpacker } from "../unpack/layer-stack.ts";

/** No image has more layers, and each costs a process. */
const layersLimit = 128;

/**
 * Layers of an archive that are being unpacked while the archive is read, though what says which files are layers, and what each lies on,
 * comes last. What turns out to be none, or to be there already, is thrown away.
 */
export class EarlyLayers implements AsyncDisposable {
  readonly #unpacker: Pick<StackUnpacker, "begin">;
  readonly #content: ContentStore;
  /** Sizes of the blobs that are here. */
  #known: ReadonlySet<number> | undefined;
  /** Those whose blob is not whole yet, or was not asked for. */
  readonly #all = new Set<EarlyLayer>();
  readonly #byDigest = new Map<Digest, EarlyLayer>();
  #count = 0;

  constructor(unpacker: Pick<StackUnpacker, "begin">, content: ContentStore) {
    this.#unpacker = unpacker;
    this.#content = content;
  }

  /** Begins with what a file's first bytes make look like a layer; undefined for anything else. */
  async begin(start: Uint8Array, ingest: Ingest, size: number): Promise<EarlyLayer | undefined> {
    if (!ingest.follow || !looksLikeLayer(start) || this.#count >= layersLimit) return undefined;
    this.#known ??= new Set(Array.from(this.#content.list(), (blob) => blob.size));
    // Most likely that very blob, which is unpacked: loading once more what is here should cost no more than reading it.
    if (this.#known.has(size)) return undefined;
    let early: EarlyLayer | undefined;
    let written = 0;
    const path = ingest.follow((bytes) => {
      written = bytes;
      early?.written(bytes);
    });
    early = await this.#unpacker.begin(path, size);
    if (!early) return undefined;
    this.#count++;
    this.#all.add(early);
    early.written(written);
    return early;
  }

  /** Its blob is whole. */
  async arrived(digest: Digest, early: EarlyLayer): Promise<void> {
    if (!this.#byDigest.has(digest)) {
      this.#byDigest.set(digest, early);
      return;
    }
    this.#all.delete(early);
    await early[Symbol.asyncDispose]();
  }

  take(digest: Digest): EarlyLayer | undefined {
    const early = this.#byDigest.get(digest);
    if (!early) return undefined;
    this.#byDigest.delete(digest);
    this.#all.delete(early);
    return early;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#all, (early) => early[Symbol.asyncDispose]()));
  }
}

/** A tar by its magic (POSIX.1-1988), or what layers are compressed with. */
function looksLikeLayer(start: Uint8Array): boolean {
  const compression = detectCompression(start);
  if (compression !== "none") return true;
  return Buffer.from(start.subarray(257, 262)).toString("latin1") === "ustar";
}
