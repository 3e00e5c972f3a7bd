import type { FilesystemChange } from "../../base/spec/docker/api.gen.ts";
import type { ListedChange } from "../../core/files/protocol.ts";

const kinds = { changed: 0, added: 1, deleted: 2 } as const;

/**
 * What the engine itself puts into the writable layer for every container, and no change of the container's; Docker has a
 * layer of its own for these. What volumes are mounted on counts as a change, as it does there.
 */
export const engineMade: ReadonlySet<string> = new Set([
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
]);

/** `docker diff`; null when nothing changed, as Docker answers. */
export function wireChanges(changes: readonly ListedChange[]): readonly FilesystemChange[] | null {
  if (changes.length === 0) return null;
  return changes.map(({ kind, path }) => ({ Path: path, Kind: kinds[kind] }));
}
