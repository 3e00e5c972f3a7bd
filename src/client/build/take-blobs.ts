import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { invalid, notFound } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import { first } from "../../base/rpc/metadata.ts";
import { bidi, type Service } from "../../base/rpc/server.ts";
import { Code, RpcError } from "../../base/rpc/status.ts";
import type { WriteContentRequest } from "../../base/spec/buildkit/content.gen.ts";
import { Content, storeKey, writeAction } from "../../base/spec/buildkit/methods.ts";
import { findBlob } from "./lend-layouts.ts";

/** Lets the build put blobs into OCI layouts (caches in directories), by the names that it knows them by. A blob has its name when it is whole. */
export function takeBlobs(stores: ReadonlyMap<string, string>): Service {
  return bidi(Content.write, async (stream, { metadata }) => {
    const name = first(metadata, storeKey) ?? "";
    const directory = stores.get(name);
    if (directory === undefined) throw notFound(`unknown store ${name}`);
    let blob: IncomingBlob | undefined;
    try {
      for (let message = await stream.next(); message; message = await stream.next()) {
        blob ??= new IncomingBlob(directory, message);
        blob.take(message);
        const { action, total } = message;
        if (action === writeAction.commit) blob.commit(message);
        await stream.send({ action, total, offset: BigInt(blob.offset), digest: "" });
      }
    } finally {
      blob?.[Symbol.dispose]();
    }
  });
}

class IncomingBlob implements Disposable {
  readonly #part: string;
  readonly #path: string;
  readonly #expected: string;
  readonly #hash: Bun.CryptoHasher;
  readonly #fd: number;
  offset = 0;

  constructor(directory: string, { expected }: WriteContentRequest) {
    const [, algorithm = "", hex = ""] = /^(sha256|sha384|sha512):([0-9a-f]{64,128})$/.exec(expected) ?? [];
    if (hex === "") throw invalid(`a blob comes without its digest: ${JSON.stringify(expected)}`);
    if (findBlob(directory, expected))
      throw new RpcError(Code.alreadyExists, `content ${expected}: already exists`);
    this.#expected = expected;
    this.#hash = new Bun.CryptoHasher(algorithm as "sha256" | "sha384" | "sha512");
    this.#path = join(directory, "blobs", algorithm, hex);
    mkdirSync(dirname(this.#path), { recursive: true });
    this.#part = join(directory, `.${randomId().slice(0, 16)}.part`);
    this.#fd = openSync(this.#part, "wx", 0o644);
  }

  take({ offset, data }: WriteContentRequest): void {
    if (offset !== 0n && Number(offset) !== this.offset)
      throw new RpcError(Code.outOfRange, `write @${offset} must occur at current offset ${this.offset}`);
    for (let at = 0; at < data.length; ) at += writeSync(this.#fd, data, at);
    this.#hash.update(data);
    this.offset += data.length;
  }

  commit({ total }: WriteContentRequest): void {
    const digest = `${this.#expected.slice(0, this.#expected.indexOf(":"))}:${this.#hash.digest("hex")}`;
    if (digest !== this.#expected || (total > 0n && Number(total) !== this.offset))
      throw new RpcError(
        Code.failedPrecondition,
        `unexpected commit digest ${digest}, expected ${this.#expected}`,
      );
    renameSync(this.#part, this.#path);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    rmSync(this.#part, { force: true });
  }
}
