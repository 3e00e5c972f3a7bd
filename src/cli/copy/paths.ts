import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, normalize, resolve } from "node:path";
import { invalid } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";

/** What is known of one end of a copy. `base` is the name its archive gives it. */
export interface CopyEnd {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
}

/** An operand of `cp`: CONTAINER:PATH, or a local path (absolute, or with a dot or without a colon). */
export function splitOperand(operand: string): { readonly container: string; readonly path: string } {
  const at = operand.indexOf(":");
  if (isAbsolute(operand) || at < 0 || operand.startsWith(".")) return { container: "", path: operand };
  return { container: operand.slice(0, at), path: operand.slice(at + 1) };
}

const trailingSlash = (path: string) => path.length > 1 && path.endsWith("/");
const currentDirectory = (path: string) => path === "." || path.endsWith("/.");

/** True when a path says that it is a directory: it ends in "/" or "/.". */
const assertsDirectory = (path: string) => path.endsWith("/") || currentDirectory(path);

/** Makes a local path absolute and keeps a trailing "/" or "/.", which mean something to `cp`. */
export function absolute(path: string): string {
  const full = resolve(path === "" ? "." : path);
  if (currentDirectory(path)) return full === "/" ? "/." : `${full}/.`;
  return trailingSlash(path) && full !== "/" ? `${full}/` : full;
}

/** Splits into folder and last name; "/a/b/." gives "/a/b" and ".". */
export function splitPath(path: string): { readonly folder: string; readonly base: string } {
  const clean = currentDirectory(path)
    ? `${normalize(path.slice(0, -1)).replace(/(.)\/$/, "$1")}/.`
    : normalize(path).replace(/(.)\/+$/, "$1");
  if (clean.endsWith("/.")) return { folder: clean.slice(0, -2) || "/", base: "." };
  return { folder: dirname(clean), base: basename(clean) || "/" };
}

/** Where a copy to this machine goes, symbolic links followed as far as they lead somewhere. */
export function localDestination(path: string): CopyEnd {
  let current = path;
  for (let hops = 0; hops < 10; hops++) {
    const info = lstatSync(current.replace(/(.)\/+$/, "$1"), { throwIfNoEntry: false });
    if (!info) {
      const parent = statSync(splitPath(current).folder, { throwIfNoEntry: false });
      if (!parent)
        throw invalid(
          `invalid output path: directory ${JSON.stringify(splitPath(current).folder)} does not exist`,
        );
      if (!parent.isDirectory()) throw invalid("not a directory");
      return { path: current, exists: false, isDirectory: false };
    }
    // What is unpacked takes the place of what is there, and nobody wants a file instead of /dev/null.
    if (info.isCharacterDevice() || info.isBlockDevice())
      throw invalid(
        `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file: got a device`,
      );
    if (!info.isSymbolicLink()) return { path: current, exists: true, isDirectory: info.isDirectory() };
    current = resolve(dirname(current), readlinkSync(current));
  }
  throw invalid(`too many symbolic links: ${path}`);
}

/** What is copied from this machine: the path to read, and the name it has in the archive. */
export function localSource(
  path: string,
  follow: boolean,
): { readonly path: string; readonly base: string; readonly isDirectory: boolean } {
  const { folder, base } = splitPath(path);
  try {
    if (follow) {
      const real = realpathSync(path);
      return { path: real, base, isDirectory: statSync(real).isDirectory() };
    }
    const read = base === "." ? folder : join(realpathSync(folder), base);
    const info = base === "." || trailingSlash(path) ? statSync(read) : lstatSync(read);
    return { path: trailingSlash(path) ? realpathSync(read) : read, base, isDirectory: info.isDirectory() };
  } catch (error) {
    throw invalid(`lstat ${path}: ${systemText(error)}`, error);
  }
}

/**
 * Where an archive of `source` is unpacked, and what its first name becomes there, after Docker's table of cases
 * (`docker cp`, "Extended description").
 */
export function planCopy(
  source: { readonly base: string; readonly isDirectory: boolean },
  target: CopyEnd,
): { readonly folder: string; readonly base: string } {
  if (target.exists && target.isDirectory) return { folder: target.path, base: source.base };
  if (target.exists && source.isDirectory) throw invalid("cannot copy directory");
  if (!target.exists && !source.isDirectory && assertsDirectory(target.path))
    throw invalid("no such directory");
  return splitPath(target.path);
}
