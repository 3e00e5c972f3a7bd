import { S3Client } from "bun";
import { messageOf, notFound, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { parseDigest } from "../../base/spec/docker/reference.ts";
import { Digester, splitDigest } from "../../base/spec/oci/digest.ts";
import type { BlobInfo, ContentCollector, ContentStore, Ingest } from "../../core/content/content.ts";
import { beginUpload } from "./file-storage.ts";
import type { BlobReader, BlobStorage } from "./storage.ts";

export interface S3Settings {
  readonly bucket: string;
  /** "https://s3.example:9000"; Amazon's when it is empty. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly sessionToken: string | undefined;
  /** In front of every key: "registry/". */
  readonly prefix: string;
}

/** Parts of one upload to the bucket, and how many of them are in memory at once. */
const partSize = 8 * 1024 * 1024;
const partsAtOnce = 2;
/** How often one thing is asked of the service, and the pause before the second time; it doubles, and a random half of it is left out. */
const attempts = 4;
const firstPauseMs = 100;
/** Errors that S3's API reference says to try again, those of the connection, and answers without a code (all of HEAD, and those of proxies). */
const passing =
  /^(InternalError|SlowDown|ServiceUnavailable|RequestTimeout|OperationAborted|UnknownError|Connection\w+|DNSResolveFailed|Timeout)$/;

/**
 * Blobs in a bucket of an S3-compatible service, as `<prefix>blobs/<algorithm>/<2 hex>/<hex>`. Uploads are gathered on this machine's disk,
 * where they can be resumed and are checked, and go to the bucket whole; `staging` is where.
 */
export class S3Storage implements BlobStorage {
  readonly identity: string;
  readonly #client: S3Client;
  readonly #staging: ContentStore & ContentCollector;
  readonly #root: string;

  constructor(staging: ContentStore & ContentCollector, settings: S3Settings) {
    this.identity = `s3://${settings.bucket}/${settings.prefix}`;
    this.#staging = staging;
    this.#root = `${settings.prefix}blobs/`;
    this.#client = new S3Client({
      bucket: settings.bucket,
      ...(settings.endpoint !== undefined && { endpoint: settings.endpoint }),
      ...(settings.region !== undefined && { region: settings.region }),
      ...(settings.accessKeyId !== undefined && { accessKeyId: settings.accessKeyId }),
      ...(settings.secretAccessKey !== undefined && { secretAccessKey: settings.secretAccessKey }),
      ...(settings.sessionToken !== undefined && { sessionToken: settings.sessionToken }),
    });
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    try {
      return { digest, size: (await asking(() => this.#client.stat(this.#key(digest)))).size };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw failed("stat", error);
    }
  }

  async confirmMissing(digest: Digest): Promise<boolean> {
    // HEAD has no body to tell a missing key from a missing bucket; a list of the bucket does.
    const wanted = this.#key(digest);
    try {
      const page = await asking(() => this.#client.list({ prefix: wanted, maxKeys: 1 }));
      return !(page.contents ?? []).some((each) => each.key === wanted);
    } catch (error) {
      throw failed("list", error);
    }
  }

  async open(digest: Digest): Promise<BlobReader> {
    const info = await this.stat(digest);
    if (!info) throw notFound(`content ${digest}: not found`);
    return {
      size: info.size,
      pieces: (start, end, signal) => this.#pieces(digest, start, end, signal),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async read(digest: Digest, limit: number): Promise<Uint8Array> {
    const reader = await this.open(digest);
    if (reader.size > limit) {
      throw new TugError(
        "data-loss",
        `content ${digest} has ${reader.size} bytes, over the limit of ${limit}`,
      );
    }
    const bytes = Buffer.concat(await Array.fromAsync(reader.pieces(0, reader.size)));
    // What came over a network is no proof of what the bucket holds.
    if (!isDigestOf(digest, bytes)) throw failed("read", new Error(`what came is not ${digest}`));
    return bytes;
  }

  async begin(id: string): Promise<Ingest> {
    return shipping(await beginUpload(this.#staging, id), (blob) => this.#ship(blob));
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (!isDigestOf(digest, bytes)) throw new TugError("data-loss", `the bytes are not ${digest}`);
    try {
      await asking(() => this.#client.write(this.#key(digest), bytes));
    } catch (error) {
      throw failed("write", error);
    }
  }

  async delete(digest: Digest): Promise<void> {
    try {
      await asking(() => this.#client.delete(this.#key(digest)));
    } catch (error) {
      if (!isMissing(error)) throw failed("delete", error);
    }
  }

  async *list(): AsyncGenerator<BlobInfo> {
    const prefix = this.#root;
    for (let startAfter: string | undefined; ; ) {
      const from = { prefix, maxKeys: 1000, ...(startAfter !== undefined && { startAfter }) };
      const page = await asking(() => this.#client.list(from)).catch((error: unknown) => {
        throw failed("list", error);
      });
      for (const each of page.contents ?? []) {
        const match = /^(sha256|sha384|sha512)\/[0-9a-f]{2}\/([0-9a-f]+)$/.exec(
          each.key.slice(prefix.length),
        );
        if (match) yield { digest: parseDigest(`${match[1]}:${match[2]}`), size: each.size ?? 0 };
      }
      startAfter = page.contents?.at(-1)?.key;
      if (!page.isTruncated || startAfter === undefined) return;
    }
  }

  async dropPartials(olderThanMs: number): Promise<number> {
    const left = await this.#staging.collect(() => []);
    return left.reduce((sum, each) => sum + each.size, 0) + (await this.#staging.dropPartials(olderThanMs));
  }

  async *#pieces(
    digest: Digest,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let at = start;
    for (let attempt = 1; at < end; attempt++) {
      try {
        for await (const chunk of this.#client.file(this.#key(digest)).slice(at, end).stream()) {
          signal?.throwIfAborted();
          at += chunk.byteLength;
          attempt = 1;
          yield chunk;
        }
        if (at !== end) throw new Error(`${digest} ended ${end - at} bytes early`);
      } catch (error) {
        if (error instanceof TugError) throw error;
        // What came is handed on already; the rest is asked for.
        if (signal?.aborted || !(await mayPass(error, attempt))) throw failed("read", error);
      }
    }
  }

  /** Copies a blob of the staging area to the bucket, and drops it there. */
  async #ship({ digest, size }: BlobInfo): Promise<void> {
    using _lease = this.#staging.lease([digest]);
    if ((await this.stat(digest))?.size !== size) {
      const settings = { partSize, queueSize: partsAtOnce, retry: attempts - 1 };
      const writer = this.#client.file(this.#key(digest)).writer(settings);
      try {
        for await (const chunk of this.#staging.stream(digest)) await writer.write(chunk);
        await writer.end();
      } catch (error) {
        throw failed("write", error);
      }
    }
    await this.#staging.delete(digest);
  }

  #key(digest: Digest): string {
    const { algorithm, hex } = splitDigest(parseDigest(digest));
    return `${this.#root}${algorithm}/${hex.slice(0, 2)}/${hex}`;
  }
}

function isDigestOf(digest: Digest, bytes: Uint8Array): boolean {
  const digester = new Digester(splitDigest(digest).algorithm);
  digester.update(bytes);
  return digester.digest() === digest;
}

/** An ingest whose commit ends in the bucket. */
function shipping(ingest: Ingest, ship: (blob: BlobInfo) => Promise<void>): Ingest {
  return {
    get offset() {
      return ingest.offset;
    },
    write: (chunk) => ingest.write(chunk),
    read: (into, at) => ingest.read(into, at),
    reset: () => ingest.reset(),
    abort: () => ingest.abort(),
    async commit(digest) {
      const blob = await ingest.commit(digest);
      await ship(blob);
      return blob;
    },
    [Symbol.asyncDispose]: () => ingest[Symbol.asyncDispose](),
  };
}

/** What `ask` answers; asked again when its failure may pass, so it must be something that does no harm twice. */
async function asking<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (!(await mayPass(error, attempt))) throw error;
    }
  }
}

/** Whether to ask again after this failure of that attempt; answers when it is time to. */
async function mayPass(error: unknown, attempt: number): Promise<boolean> {
  if (attempt >= attempts || !passing.test(codeIn(error) ?? "")) return false;
  await Bun.sleep(firstPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2));
  return true;
}

function codeIn(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function isMissing(error: unknown): boolean {
  const code = codeIn(error);
  return code === "NoSuchKey" || code === "NotFound" || code === "UnknownError_404";
}

function failed(operation: string, error: unknown): TugError {
  // Of a connection, Bun tells what happened in the code alone.
  const code = codeIn(error) ?? "";
  const why = /^(Connection|DNS|Timeout)/.test(code) ? code : messageOf(error);
  return new TugError("unavailable", `object storage: ${operation}: ${why}`, { cause: error });
}
