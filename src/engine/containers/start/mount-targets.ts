import { statSync } from "node:fs";
import { SystemError } from "../../../base/sys/libc.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";

const directories = ["/dev", "/dev/pts", "/dev/shm", "/proc", "/sys"];
const files = ["/.dockerenv", "/dev/console"];

/**
 * Makes what things get mounted on, before the runtime needs it: on a read-only root the runtime cannot. Programs look for
 * /.dockerenv and /etc/mtab too; Docker puts all of these into a layer of its own between image and container. Every path
 * is resolved inside the root, so that a link in the image leads nowhere else. What is there already stays as it is.
 */
export function makeMountTargets(rootfs: string, mounts: readonly SpecMount[]): void {
  using root = RootedDir.open(rootfs);
  for (const path of directories) makeDirectory(root, path);
  for (const path of files) makeFile(root, path);
  if (!root.tryLstat("/etc/mtab")) {
    makeDirectory(root, "/etc");
    attempt(() => root.symlink("/proc/mounts", "/etc/mtab"));
  }
  for (const mount of mounts) {
    // What lies below another mount is made there, by the runtime, once that one is mounted.
    if (mounts.some((other) => other !== mount && isBelow(mount.target, other.target))) continue;
    if (mount.type === "bind" && !statSync(mount.source).isDirectory()) makeFile(root, mount.target);
    else makeDirectory(root, mount.target);
  }
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(parent.endsWith("/") ? parent : `${parent}/`);
}

function makeDirectory(root: RootedDir, path: string): void {
  if (root.tryStat(path)) return;
  attempt(() => void root.mkdirAll(path, 0o755));
}

function makeFile(root: RootedDir, path: string): void {
  if (root.tryStat(path)) return;
  makeDirectory(root, path.slice(0, path.lastIndexOf("/")) || "/");
  attempt(() => root.mknod(path, 0o100755));
}

/** Where something odd stands in the way (a file as a parent, a dangling link), the runtime's own error says it best. */
function attempt(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (!(error instanceof SystemError) || !["EEXIST", "ENOTDIR", "ENOENT", "ELOOP"].includes(error.code))
      throw error;
  }
}
