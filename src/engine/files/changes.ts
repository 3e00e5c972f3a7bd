import type { FilesystemChange } from "../../base/spec/docker/api.gen.ts";
import { snapshotChanges } from "../../core/snapshot/changes.ts";
import type { ContainerContext } from "../containers/context.ts";
import type { ContainerRecord } from "../containers/record.ts";

const kinds = { changed: 0, added: 1, deleted: 2 };

/** What the engine itself puts into the writable layer to mount on; Docker has a layer of its own for these. */
const engineMade = [
  "/.dockerenv",
  "/dev",
  "/dev/console",
  "/dev/pts",
  "/dev/shm",
  "/etc/hostname",
  "/etc/hosts",
  "/etc/mtab",
  "/etc/resolv.conf",
  "/proc",
  "/sys",
];

/** Paths that are no change of the container's own. */
export function ignoredPaths(record: ContainerRecord): ReadonlySet<string> {
  const { mounts, host } = record.definition;
  return new Set([
    ...engineMade,
    ...mounts.map((mount) => mount.target),
    ...Object.keys(host.Tmpfs ?? {}),
  ]);
}

/** `docker diff`; null when nothing changed, as Docker answers. */
export function containerChanges(
  context: ContainerContext,
  record: ContainerRecord,
): readonly FilesystemChange[] | null {
  const changes: FilesystemChange[] = [];
  const layout = context.snapshots.layout(record.id);
  /** Directories that are told of only once something in them is. */
  let quiet: { readonly path: string; readonly change: FilesystemChange }[] = [];
  for (const change of snapshotChanges(layout, { ignored: ignoredPaths(record) })) {
    if (change.path === "" || (change.kind === "deleted" && change.implied)) continue;
    quiet = quiet.filter((parent) => change.path.startsWith(`${parent.path}/`));
    const entry = { Path: `/${change.path}`, Kind: kinds[change.kind] };
    if (change.kind !== "deleted" && change.quiet) {
      quiet.push({ path: change.path, change: entry });
      continue;
    }
    changes.push(...quiet.map((parent) => parent.change), entry);
    quiet = [];
  }
  return changes.length > 0 ? changes : null;
}
