import type { FilesystemChange } from "../../base/spec/docker/api.gen.ts";
import type { ListedChange } from "../../core/files/protocol.ts";
import type { ContainerRecord } from "../containers/record.ts";

const kinds = { changed: 0, added: 1, deleted: 2 } as const;

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
  return new Set([...engineMade, ...mounts.map((mount) => mount.target), ...Object.keys(host.Tmpfs ?? {})]);
}

/** `docker diff`; null when nothing changed, as Docker answers. */
export function wireChanges(changes: readonly ListedChange[]): readonly FilesystemChange[] | null {
  if (changes.length === 0) return null;
  return changes.map(({ kind, path }) => ({ Path: path, Kind: kinds[kind] }));
}
