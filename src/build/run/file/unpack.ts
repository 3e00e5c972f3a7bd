import { readSync } from "node:fs";
import { CompressionError, decompress } from "../../../base/lib/compression/compression.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import { TarParser } from "../../../base/lib/tar/parser.ts";
import { closeFd, O } from "../../../base/sys/at.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { Extractor } from "../../../core/files/extract.ts";
import type { Destination } from "./copy/dest.ts";
import type { Ids } from "./copy/owner.ts";

const chunkSize = 1 << 18;

/** Whether a regular file is a tar archive, compressed or not, that holds something: its first member is read. */
export async function isArchive(source: RootedDir, path: string): Promise<boolean> {
  const fd = source.open(`/${path}`, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
  let found = false;
  const parser = new TarParser({
    entry: () => {
      found = true;
    },
    data: () => undefined,
    end: () => undefined,
  });
  try {
    // A first member's extension headers are bounded by the parser.
    for await (const chunk of decompress(chunksOf(fd))) {
      for (let at = 0; at < chunk.length && !found && !parser.done; at += 512) {
        parser.push(chunk.subarray(at, at + 512));
      }
      if (found || parser.done) break;
    }
    return found;
  } catch (error) {
    if (error instanceof TarError || error instanceof CompressionError) return found;
    throw error;
  } finally {
    closeFd(fd);
  }
}

/** Unpacks an archive into the directory at a resolved path. Members stay inside the root, whatever their names and links say. */
export async function unpackArchive(
  source: RootedDir,
  path: string,
  dest: Destination,
  into: string,
  owner: Ids | undefined,
): Promise<void> {
  dest.makeDirectories(into, 0o755, owner);
  const fd = source.open(`/${path}`, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
  try {
    using extractor = new Extractor(dest.root, `/${into}`, { noOverwriteDirNonDir: false, owner });
    const parser = new TarParser(extractor);
    for await (const chunk of decompress(chunksOf(fd))) parser.push(chunk);
    parser.finish();
    extractor.finish();
  } finally {
    closeFd(fd);
  }
}

async function* chunksOf(fd: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(chunkSize);
    const length = readSync(fd, buffer, 0, buffer.length, null);
    if (length === 0) return;
    yield buffer.subarray(0, length);
  }
}
