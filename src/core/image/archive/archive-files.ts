import { posix } from "node:path";
import { CompressionError, decompress } from "../../../base/lib/compression/compression.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { randomId } from "../../../base/lib/ids.ts";
import { Semaphore } from "../../../base/lib/semaphore.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import { readTar, type TarMember } from "../../../base/lib/tar/read.ts";
import { leftOutFile } from "../../../base/spec/docker/inventory.ts";
import { parseDigest } from "../../../base/spec/docker/reference.ts";
import { manifestLimit } from "../../../base/spec/oci/parse.ts";
import type { BlobInfo, ContentStore, Ingest, Lease } from "../../content/content.ts";
import type { EarlyLayer } from "../unpack/early-layer.ts";
import type { StackUnpacker } from "../unpack/layer-stack.ts";
import { EarlyLayers } from "./early-layers.ts";
import { presentLayers } from "./left-out.ts";

/** Names in an archive that lead to other names: docker save of old shares equal layers that way. */
type ArchiveNode = { blob: BlobInfo | undefined } | { readonly target: string };

/** More members than any image archive has. */
const memberLimit = 100_000;
/** No path is longer (PATH_MAX), and names are held while the archive is read. */
const nameLimit = 4096;
/** Characters of all names. */
const namesLimit = 32 << 20;
/** So many files are on their way to the disk while the next one is read. */
const commitsAtOnce = 4;

/**
 * The files of an image archive, as blobs of the content store: an archive is read once from a stream, and what says what
 * its files mean (manifest.json, index.json) comes last. Everything is leased until disposal, and then garbage unless an
 * image was recorded of it.
 */
export class ArchiveFiles implements AsyncDisposable {
  readonly #content: ContentStore;
  readonly #early: EarlyLayers | undefined;
  readonly #lease: Lease;
  readonly #received: Lease | undefined;
  readonly #nodes = new Map<string, ArchiveNode>();
  readonly #commits = new Semaphore(commitsAtOnce);
  readonly #committing = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Characters of the names held. */
  #held = 0;

  private constructor(
    content: ContentStore,
    { received, unpacker }: { readonly received?: Lease; readonly unpacker?: Pick<StackUnpacker, "begin"> },
  ) {
    this.#content = content;
    this.#received = received;
    this.#early = unpacker && new EarlyLayers(unpacker, content);
    this.#lease = content.lease();
  }

  /** Reads the whole stream, plain or compressed. Throws data-loss in Docker's words for a damaged or short archive. */
  static async read(
    content: ContentStore,
    stream: AsyncIterable<Uint8Array>,
    options: {
      readonly signal?: AbortSignal;
      readonly received?: Lease;
      /** Begins to unpack what looks like a layer while it comes. */
      readonly unpacker?: Pick<StackUnpacker, "begin">;
    } = {},
  ): Promise<ArchiveFiles> {
    const { signal } = options;
    const files = new ArchiveFiles(content, options);
    try {
      for await (const member of readTar(decompress(stream))) {
        signal?.throwIfAborted();
        if (files.#nodes.size >= memberLimit) throw invalid("the archive has too many members");
        await files.#take(member);
      }
      await files.#settled();
      await files.#adoptLeftOut();
      return files;
    } catch (error) {
      await Promise.all(files.#committing);
      await files[Symbol.asyncDispose]();
      throw archiveError(error);
    }
  }

  /** Layers that the archive leaves out stand in it as if it had brought them. */
  async #adoptLeftOut(): Promise<void> {
    const document = this.blob(leftOutFile);
    if (!document) return;
    for (const blob of presentLayers(await this.readBlob(document, manifestLimit), this.#content)) {
      this.#lease.add(blob.digest);
      const name = `blobs/${blob.digest.replace(":", "/")}`;
      if (!this.#nodes.has(name)) this.#nodes.set(name, { blob });
    }
  }

  async #take(member: TarMember): Promise<void> {
    const { entry } = member;
    const name = clean(entry.path);
    if (name === "") return;
    const length = Math.max(name.length, entry.linkPath.length);
    if (length > nameLimit) throw invalid(`the archive has a name of ${length} characters`);
    this.#held += name.length + entry.linkPath.length;
    if (this.#held > namesLimit) throw invalid("the archive has too many members");
    if (entry.kind === "symlink") {
      this.#nodes.set(name, { target: clean(posix.join(posix.dirname(name), entry.linkPath)) });
    } else if (entry.kind === "link") {
      this.#nodes.set(name, { target: clean(entry.linkPath) });
    } else if (entry.kind === "file") {
      const node: { blob: BlobInfo | undefined } = { blob: undefined };
      this.#nodes.set(name, node);
      await this.#ingest(name, member, (blob) => {
        node.blob = blob;
      });
    }
  }

  /** Takes in a file's bytes; `done` gets the blob once it is durable, which the next files need not wait for. */
  async #ingest(name: string, member: TarMember, done: (blob: BlobInfo) => void): Promise<void> {
    if (member.entry.sparse) throw invalid(`sparse file ${JSON.stringify(name)} in an image archive`);
    const expected = otherAlgorithm(name);
    const permit = await this.#commits.acquire();
    let handedOver = false;
    try {
      if (this.#failure) throw this.#failure.error;
      const ingest = await this.#content.ingest(
        `archive-${randomId()}`,
        expected && { digest: expected, size: member.entry.size },
      );
      let early: EarlyLayer | undefined;
      try {
        let begun = false;
        for await (const { chunk } of member.pieces) {
          if (!begun) early = await this.#early?.begin(chunk, ingest, member.entry.size);
          begun = true;
          await ingest.write(chunk);
        }
      } catch (error) {
        await ingest.abort();
        throw error;
      }
      handedOver = true;
      const work = this.#commit(name, ingest)
        .then(async (blob) => {
          if (early) await this.#early?.arrived(blob.digest, early);
          done(blob);
        })
        .catch((error: unknown) => {
          this.#failure ??= { error };
        })
        .finally(() => {
          this.#committing.delete(work);
          permit[Symbol.dispose]();
        });
      this.#committing.add(work);
    } finally {
      if (!handedOver) permit[Symbol.dispose]();
    }
  }

  async #commit(name: string, ingest: Ingest): Promise<BlobInfo> {
    try {
      const blob = await ingest.commit();
      const hex = /^blobs\/sha256\/([a-f0-9]{64})$/.exec(name)?.[1];
      if (hex && blob.digest !== `sha256:${hex}`)
        throw new TugError("data-loss", `blob sha256:${hex} of the archive hashes to ${blob.digest}`);
      this.#lease.add(blob.digest);
      this.#received?.add(blob.digest);
      return blob;
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }

  /** Waits until every file is durable; throws what went wrong first. */
  async #settled(): Promise<void> {
    await Promise.all(this.#committing);
    if (this.#failure) throw this.#failure.error;
  }

  has(name: string): boolean {
    return this.blob(name) !== undefined;
  }

  /** The blob a name leads to; undefined when there is none. */
  blob(name: string): BlobInfo | undefined {
    let at = clean(name);
    for (let links = 0; links < 40; links++) {
      const node = this.#nodes.get(at);
      if (!node) return undefined;
      if ("blob" in node) return node.blob;
      at = node.target;
    }
    return undefined;
  }

  /** The blob of a digest, if the archive brought it. */
  byDigest(digest: Digest): BlobInfo | undefined {
    const [algorithm, hex] = digest.split(":");
    const blob = this.blob(`blobs/${algorithm}/${hex}`);
    // A link under its path may lead to other bytes.
    if (blob && blob.digest !== digest) {
      throw new TugError("data-loss", `blob ${digest} of the archive hashes to ${blob.digest}`);
    }
    return blob;
  }

  async readBlob(blob: BlobInfo, limit: number): Promise<Uint8Array> {
    return await this.#content.read(blob.digest, limit);
  }

  /** What was begun of a layer while it came; the caller's from then on. */
  takeEarly(digest: Digest): EarlyLayer | undefined {
    return this.#early?.take(digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lease[Symbol.dispose]();
    await this.#early?.[Symbol.asyncDispose]();
  }
}

/** A path in the archive, as a name below its root; "" for the root itself. What leads outside leads nowhere. */
function clean(path: string): string {
  return posix.join("/", path).slice(1).replace(/\/+$/, "");
}

/** Blobs are hashed with sha256 unless their place says otherwise. */
function otherAlgorithm(name: string): Digest | undefined {
  const match = /^blobs\/(sha384|sha512)\/([a-f0-9]+)$/.exec(name);
  return match ? parseDigest(`${match[1]}:${match[2]}`) : undefined;
}

export function archiveError(error: unknown): unknown {
  if (error instanceof TarError || error instanceof CompressionError) {
    return new TugError("invalid-argument", error.message, { cause: error });
  }
  return error;
}
