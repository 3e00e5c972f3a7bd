import { statSync } from "node:fs";
import { posix } from "node:path";
import { TugError } from "../../../base/lib/errors.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { MountTargets } from "./targets.ts";

/** Where the runtime mounts the kernel's file systems; nothing below them lies in the root. */
const KERNEL = ["/proc", "/sys", "/dev"];

/**
 * Makes the places of all that is mounted, and tells the mounts with targets that have no links in them. What lies below another mount
 * is made there, by the runtime. The step's own mounts cover the files that every step gets, as in BuildKit.
 */
export function makePlaces(
  targets: MountTargets,
  asked: readonly SpecMount[],
  files: readonly SpecMount[],
): readonly SpecMount[] {
  for (const path of KERNEL) targets.make({ path, kind: "directory" });
  const shown = files.filter((file) => !asked.some(({ target }) => isWithin(file.target, target)));
  const all = [...shown, ...asked];
  return all.map((mount) => {
    const covered =
      KERNEL.some((path) => isBelow(mount.target, path)) ||
      all.some((other) => isBelow(mount.target, other.target));
    if (covered) return mount;
    const directory = mount.type === "tmpfs" || statSync(mount.source).isDirectory();
    return { ...mount, target: targets.make({ path: mount.target, kind: directory ? "directory" : "file" }) };
  });
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(`${parent}/`);
}

function isWithin(path: string, parent: string): boolean {
  return path === parent || isBelow(path, parent);
}

/** A step's working directory is made where it is missing, and stays, as in BuildKit. */
export function makeWorkingDirectory(root: RootedDir, cwd: string): void {
  const path = posix.join("/", cwd);
  if (path === "/") return;
  try {
    root.mkdirAll(path, 0o755);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new TugError("invalid-argument", `mkdir ${path}: ${error.message}`, { cause: error });
  }
}
