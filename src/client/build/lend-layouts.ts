import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import { notFound } from "../../base/lib/errors.ts";
import { first, type Metadata } from "../../base/rpc/metadata.ts";
import { type Service, serverStream, unary } from "../../base/rpc/server.ts";
import { pieceBytes } from "../../base/rpc/stream.ts";
import { Content, storeKey } from "../../base/spec/buildkit/methods.ts";

/** Lets the build read blobs of OCI layouts, by the names that the build knows their directories by. */
export function lendLayouts(layouts: ReadonlyMap<string, string>): readonly Service[] {
  const blob = (digest: string, metadata: Metadata) => {
    const name = first(metadata, storeKey) ?? "";
    const directory = layouts.get(name);
    if (directory === undefined) throw notFound(`unknown store ${name}`);
    const found = findBlob(directory, digest);
    if (!found) throw notFound(`content ${digest}: not found`);
    return found;
  };
  return [
    unary(Content.info, async ({ digest }, { metadata }) => {
      return { info: { digest, size: BigInt(blob(digest, metadata).size) } };
    }),
    serverStream(Content.read, async ({ digest, offset, size }, send, { metadata }) => {
      const start = Number(offset);
      const { path } = blob(digest, metadata);
      const end = size > 0n ? start + Number(size) - 1 : Number.POSITIVE_INFINITY;
      let at = start;
      for await (const chunk of createReadStream(path, { start, end, highWaterMark: pieceBytes })) {
        const data = chunk as Buffer;
        await send({ offset: BigInt(at), data });
        at += data.length;
      }
    }),
  ];
}

/** A blob of the OCI layout in a directory. */
export function findBlob(directory: string, digest: string): { path: string; size: number } | undefined {
  const [, algorithm = "", hex = ""] = /^(sha256|sha384|sha512):([0-9a-f]{64,128})$/.exec(digest) ?? [];
  const path = join(directory, "blobs", algorithm, hex);
  const stat = hex === "" ? undefined : statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() ? { path, size: stat.size } : undefined;
}
