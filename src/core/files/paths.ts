import { posix } from "node:path";
import { decodePath } from "../../base/lib/path-bytes.ts";
import { closeFd, O, readlinkat } from "../../base/sys/at.ts";
import { followLinks } from "../../base/sys/follow-links.ts";
import { SystemError } from "../../base/sys/libc.ts";
import type { RootedDir } from "../../base/sys/rooted-dir.ts";
import { lstatat } from "../../base/sys/stat.ts";

/**
 * The path of a request, made absolute and clean; a trailing "/" or "/." is kept, because it says "follow the link" and
 * "what is in the directory" (archive.PreserveTrailingDotOrSeparator).
 */
export function absolutePath(path: string): string {
  const clean = posix.join("/", path).replace(/(.)\/$/, "$1");
  if (/(?:^|\/)\.$/.test(path)) return clean === "/" ? "/." : `${clean}/.`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

/** Last component as Go's filepath.Base tells it. */
export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" ? "/" : trimmed.slice(trimmed.lastIndexOf("/") + 1);
}

/**
 * Where a path leads when every link on it is followed inside the root, as text. It is shown to people and compared with
 * mount points; access is decided by the kernel when the path is opened. Missing parts stay as they are, unless
 * `mustExist`: then they are ENOENT, and a file in the middle is ENOTDIR.
 */
export function evaluateLinks(
  root: RootedDir,
  path: string,
  options: { readonly mustExist: boolean },
): string {
  const done = followLinks(path, (at) => linkAt(root, `/${at}`, options.mustExist)) ?? [];
  return `/${done.join("/")}`;
}

/** Target of a link; undefined for what is none. One descriptor for both looks: the name may be swapped in between. */
function linkAt(root: RootedDir, path: string, mustExist: boolean): string | undefined {
  let fd: number;
  try {
    fd = root.open(path, O.PATH | O.NOFOLLOW);
  } catch (error) {
    const missing = error instanceof SystemError && (error.code === "ENOENT" || error.code === "ENOTDIR");
    if (missing && !mustExist) return undefined;
    throw error;
  }
  try {
    return lstatat(fd).kind === "symlink" ? decodePath(readlinkat(fd, "")) : undefined;
  } finally {
    closeFd(fd);
  }
}
