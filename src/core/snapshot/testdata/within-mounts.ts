import { mkdtempSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import type { Mount } from "../snapshotter.ts";

/** Mounts a snapshot on a new directory in `base`, works in it, unmounts. */
export function withinMounts<R>(base: string, mounts: readonly Mount[], work: (root: string) => R): R {
  const target = mkdtempSync(join(base, "mnt-"));
  try {
    for (const mount of mounts) mountSpec(mount, target);
    return work(target);
  } finally {
    unmountIfMounted(target);
    rmdirSync(target);
  }
}
