import type { DiffId } from "../../base/lib/ids.ts";
import { tarHeader, tarTrailer } from "../../base/lib/tar/writer.ts";
import { Digester } from "../../base/spec/oci/digest.ts";
import { type ChangesOptions, snapshotChanges } from "./changes.ts";
import type { SnapshotLayout } from "./snapshotter.ts";
import { TarNodes } from "./tar-node.ts";

const opaqueMarker = ".wh..wh..opq";
const whiteoutPrefix = ".wh.";

/**
 * A snapshot's changes as a layer tar (image-spec v1.1, layer.md): what was added or changed as it is, what was removed as
 * ".wh." files, a directory that was replaced with an opaque marker. The same tree gives the same bytes.
 */
export function* diffTar(
  layout: SnapshotLayout,
  options: ChangesOptions = {},
  nodes = new TarNodes({ wholeSeconds: true }),
): Generator<Uint8Array, void, undefined> {
  /** Directories that count only if something in them does. */
  let pending: {
    readonly path: string;
    readonly write: () => Iterable<Uint8Array>;
  }[] = [];
  for (const change of snapshotChanges(layout, options)) {
    if (change.kind === "deleted") {
      if (change.implied) continue;
      for (const parent of pending) if (isWithin(change.path, parent.path)) yield* parent.write();
      pending = [];
      yield whiteout(change.path);
      continue;
    }
    const { path, node, before } = change;
    const write = () => nodes.member(node.dir, node.name, path === "" ? "./" : path, node.stat);
    if (node.stat.kind === "directory" && (change.quiet || path === "")) {
      // The descriptor is good only now, so the member is made now and written later. A directory has no content to hold.
      if (path === "" && sameMetadata(before ?? plainRoot, node.stat)) continue;
      const bytes = [...write()];
      pending = pending.filter((parent) => isWithin(path, parent.path));
      if (path === "") yield* bytes;
      else pending.push({ path, write: () => bytes });
      continue;
    }
    for (const parent of pending) if (isWithin(path, parent.path)) yield* parent.write();
    pending = [];
    yield* write();
    if (change.opaque) yield marker(`${path}/${opaqueMarker}`);
  }
  yield tarTrailer;
}

/** The diffID of what `diffTar` makes of a snapshot that is committed, and its size as `LayerApplier` counts it. */
export function digestLayer(layout: SnapshotLayout): { readonly diffId: DiffId; readonly size: number } {
  const nodes = new TarNodes({ wholeSeconds: true, settled: true });
  const digester = new Digester();
  for (const chunk of diffTar(layout, {}, nodes)) digester.update(chunk);
  return { diffId: digester.digest() as string as DiffId, size: nodes.contentSize };
}

const plainRoot = { mode: 0o040755, uid: 0, gid: 0 };

/** The root's own entry is written only for another mode or owner: its time changes with every first-level name. */
function sameMetadata(
  a: { mode: number; uid: number; gid: number },
  b: { mode: number; uid: number; gid: number },
) {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

function isWithin(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}

function whiteout(path: string): Uint8Array {
  const slash = path.lastIndexOf("/") + 1;
  return marker(`${path.slice(0, slash)}${whiteoutPrefix}${path.slice(slash)}`);
}

function marker(path: string): Uint8Array {
  return tarHeader({ path, kind: "file", mode: 0, size: 0 });
}
