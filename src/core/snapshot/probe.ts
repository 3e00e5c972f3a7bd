import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../base/lib/errors.ts";
import { AT_FDCWD, closeFd, mknodat, O, openat, S_IFCHR } from "../../base/sys/at.ts";
import { mountOverlay, mountSpec, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import { readDirectory } from "../../base/sys/stat.ts";
import { statFileSystem } from "../../base/sys/statfs.ts";
import { directoryOptions, type WritableParts } from "./overlay-snapshots.ts";
import type { Mount } from "./snapshotter.ts";

/** Why `root` cannot hold upper directories of the kernel's overlay, or undefined when it can. */
export function overlayProblem(root: string): string | undefined {
  return layersProblem(root, (parts) => ({
    type: "overlay",
    source: "overlay",
    options: directoryOptions(parts),
  }));
}

/**
 * Why snapshots of overlay's layout cannot be kept below `root`, or undefined when they can: tries everything that a driver needs
 * (types of directory entries, a whiteout, a trusted attribute, a mount with an upper directory), as file system names do not tell
 * (overlay on overlay, fuse, user namespaces).
 */
export function layersProblem(root: string, writable: (parts: WritableParts) => Mount): string | undefined {
  const base = join(root, ".probe");
  const at = (name: string) => join(base, name);
  // An earlier probe may have been killed half-way.
  unmountIfMounted(at("merged"));
  rmSync(base, { recursive: true, force: true });
  mkdirSync(base, { recursive: true, mode: 0o700 });
  try {
    for (const name of ["lower", "more", "upper", "work", "merged"]) mkdirSync(at(name));
    if (!tellsTypes(base)) return withoutTypes(statFileSystem(root).name);
    mknodat(AT_FDCWD, at("lower/whiteout"), S_IFCHR, 0);
    using tree = RootedDir.open(base);
    tree.setXattr("lower", "trusted.overlay.opaque", Buffer.from("y"));
    mountOverlay([`lowerdir=${at("more")}:${at("lower")}`], at("merged"));
    unmountIfMounted(at("merged"));
    const parts = { lowers: [at("lower")], upper: at("upper"), work: at("work"), volatile: false };
    mountSpec(writable(parts), at("merged"));
    return undefined;
  } catch (error) {
    const { name } = statFileSystem(root);
    return name === "overlayfs"
      ? `${messageOf(error)}: the data root lies on overlay itself, as in a container; put it on a volume`
      : messageOf(error);
  } finally {
    unmountIfMounted(at("merged"));
    rmSync(base, { recursive: true, force: true });
  }
}

/** Overlay looks for whiteouts by the types that a directory's entries tell (overlayfs.rst, "Upper and Lower"). */
function tellsTypes(directory: string): boolean {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY);
  try {
    return readDirectory(fd).every((entry) => entry.kind !== "unknown");
  } finally {
    closeFd(fd);
  }
}

/** graphdriver/overlayutils: ErrDTypeNotSupported. */
function withoutTypes(backing: string): string {
  const xfs = backing === "xfs" ? " Reformat the filesystem with ftype=1 to enable d_type support." : "";
  return `the backing ${backing} filesystem is formatted without d_type support, which leads to incorrect behavior.${xfs} Backing filesystems without d_type support are not supported.`;
}
