import {
  closeSync,
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import { readTar } from "../../base/lib/tar/read.ts";
import { tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";

/** An image archive that was unpacked (an OCI layout, a docker-archive), as the tar it would be. */
export async function* packFolder(folder: string): AsyncGenerator<Uint8Array, void, void> {
  for (const path of walk(folder, "")) {
    const full = join(folder, path);
    const found = lstatSync(full);
    if (found.isSymbolicLink()) {
      yield tarHeader({ path, kind: "symlink", linkPath: readlinkSync(full) });
    } else if (found.isFile()) {
      yield tarHeader({ path, kind: "file", mode: 0o644, size: found.size });
      yield* exactly(full, found.size);
      yield tarPadding(found.size);
    }
  }
  yield tarTrailer;
}

/** Below `folder`, in the order of names. */
function* walk(folder: string, below: string): Generator<string, void, void> {
  const entries = readdirSync(join(folder, below), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* walk(folder, path);
    else yield path;
  }
}

/** The header has said how long it is. */
async function* exactly(path: string, size: number): AsyncGenerator<Uint8Array, void, void> {
  if (size === 0) return;
  let read = 0;
  for await (const chunk of createReadStream(path, { end: size - 1, highWaterMark: 1 << 20 })) {
    read += (chunk as Uint8Array).length;
    yield chunk as Uint8Array;
  }
  if (read !== size) throw invalid(`${path} changed while it was read`);
}

/** What an OCI layout is made of (image-spec, image-layout.md); nothing else of the archive is written. */
const layoutFile =
  /^(?:oci-layout|index\.json|blobs\/(?:sha256\/[a-f0-9]{64}|sha384\/[a-f0-9]{96}|sha512\/[a-f0-9]{128}))$/;

/** Writes an image archive as an OCI layout directory, which appears under its name only when it is whole. */
export async function unpackLayout(
  open: () => Promise<AsyncIterable<Uint8Array>>,
  target: string,
): Promise<void> {
  checkTarget(target);
  const part = join(dirname(target), `.${basename(target)}.${process.pid}.part`);
  try {
    mkdirSync(part, { recursive: true });
    for await (const member of readTar(await open())) {
      const { path, kind } = member.entry;
      if (kind !== "file" || !layoutFile.test(path)) continue;
      mkdirSync(join(part, dirname(path)), { recursive: true });
      const fd = openSync(join(part, path), "wx", 0o644);
      try {
        for await (const { chunk } of member.pieces) {
          for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        }
      } finally {
        closeSync(fd);
      }
    }
    if (existsSync(target)) rmdirSync(target);
    renameSync(part, target);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw error;
  }
}

function checkTarget(target: string): void {
  const found = statSync(target, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) throw invalid(`${target} is no directory`);
  if (found && readdirSync(target).length > 0) {
    throw invalid(`${target} is not empty: name a new directory, or remove what is in it`);
  }
  const above = dirname(target);
  try {
    statSync(above);
  } catch (error) {
    throw invalid(`failed to save image: invalid output path: ${messageOf(error)}`, error);
  }
}
