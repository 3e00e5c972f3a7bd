import { gathered } from "../../../base/lib/gathered.ts";
import type { TarEntry } from "../../../base/lib/tar/entry.ts";
import { type TarHandler, TarParser } from "../../../base/lib/tar/parser.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { LayerApplier } from "../../../core/snapshot/apply/apply-layer.ts";
import { diffTar } from "../../../core/snapshot/diff.ts";

const SLICE_MS = 5;

/** A directory as a layer tar, its own mode and owner with it. The same tree gives the same bytes, but for times. */
export async function* readTree(directory: string): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of gathered(diffTar({ kind: "tree", tree: directory, parent: undefined }))) {
    yield chunk;
    // Files are read in between, without waiting: others have their turn.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Fills an empty directory from such a tar, as a layer is unpacked: nothing in it leads out. Throws for a tar that ends too soon. */
export async function writeTree(
  directory: string,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  using target = new LayerApplier({ kind: "tree", tree: directory });
  using root = RootedDir.open(directory);
  const parser = new TarParser(withModes(target, root));
  let sliceEnd = performance.now() + SLICE_MS;
  for await (const chunk of tar) {
    signal.throwIfAborted();
    parser.push(chunk);
    if (performance.now() < sliceEnd) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    sliceEnd = performance.now() + SLICE_MS;
  }
  parser.finish();
  target.finish();
}

/** Layers are unpacked by a helper without a umask; here what the daemon's took away is given back. */
function withModes(target: LayerApplier, root: RootedDir): TarHandler {
  const umask = process.umask();
  let entry: TarEntry | undefined;
  return {
    entry: (next) => {
      entry = next;
      target.entry(next);
    },
    data: (chunk, offset) => target.data(chunk, offset),
    end: () => {
      target.end();
      if (!entry || (entry.mode & umask) === 0 || entry.kind === "link" || entry.kind === "symlink") return;
      root.chmod(entry.path, entry.mode & 0o7777);
    },
  };
}
