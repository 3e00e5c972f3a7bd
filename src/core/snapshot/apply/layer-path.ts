import { TugError } from "../../../base/lib/errors.ts";

/** PATH_MAX without the NUL: what no system call can name need not be made. */
const longest = 4095;
/** Components that fit into such a path. */
export const deepest = 2048;

/** A member's name as components below the root: dots resolved as text, as Docker does (path.Clean). */
export function layerComponents(path: string): string[] {
  if (path.length > longest) throw tooLong(path);
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined && !path.startsWith("/")) throw outside(path);
  }
  return parts;
}

/** Components of a symbolic link's target; ".." is kept, as it depends on where the link leads. */
export function targetComponents(target: string): string[] {
  return target.split("/").filter((part) => part !== "" && part !== ".");
}

export function tooLong(path: string): TugError {
  return new TugError("data-loss", `file name too long: ${JSON.stringify(`${path.slice(0, 100)}...`)}`);
}

export function outside(path: string): TugError {
  return new TugError("data-loss", `${JSON.stringify(path)} is outside of "/"`);
}

/** Image-spec v1.1, layer.md, "Whiteouts". */
export const whiteoutPrefix = ".wh.";
export const opaqueMarker = ".wh..wh..opq";
/** Names of aufs's own files, which old images hold and nobody wants. */
export const aufsPrefix = ".wh..wh.";
/** Where aufs keeps files that have several names. */
export const aufsLinks = ".wh..wh.plnk";
