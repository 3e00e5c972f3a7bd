import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, closeFd, O, openat } from "../../../src/base/sys/at.ts";
import { type FileStat, tryLstatat } from "../../../src/base/sys/stat.ts";
import { getXattr, listXattrs } from "../../../src/base/sys/xattr.ts";

/**
 * A tree, a line for each node, sorted: "d etc", "d! etc" (opaque), "f etc/x <content>", "l from to", "c null 1:3", "w gone" (overlay's
 * whiteout), "p fifo"; set-id modes and attributes that are not overlay's at the end. What is in `except` is left out.
 */
export function listing(root: string, except: ReadonlySet<string> = new Set()): string[] {
  const lines: string[] = [];
  const fd = openat(AT_FDCWD, root, O.RDONLY | O.DIRECTORY);
  try {
    const walk = (below: string) => {
      for (const entry of readdirSync(join(root, below))) {
        const path = join(below, entry);
        const stat = tryLstatat(fd, path);
        if (!stat || except.has(path)) continue;
        lines.push(line(fd, root, path, stat).replaceAll("\n", "\\n").replaceAll("\0", "\\0"));
        if (stat.kind === "directory") walk(path);
      }
    };
    walk("");
  } finally {
    closeFd(fd);
  }
  return lines.sort();
}

function line(fd: number, root: string, path: string, stat: FileStat): string {
  const node = stat.kind === "symlink" ? [] : [...listXattrs(fd, path)].sort();
  const marks = node.filter((key) => !key.startsWith("trusted.overlay.")).map((key) => ` ${key}`);
  const tail = ((stat.mode & 0o7000) !== 0 ? ` ${(stat.mode & 0o7777).toString(8)}` : "") + marks.join("");
  const opaque = node.includes("trusted.overlay.opaque")
    ? Buffer.from(getXattr(fd, path, "trusted.overlay.opaque") ?? "").toString()
    : "";
  const device = `${stat.rdevMajor}:${stat.rdevMinor}`;
  if (stat.kind === "directory") return `d${opaque === "y" ? "!" : ""} ${path}${tail}`;
  if (stat.kind === "symlink") return `l ${path} ${readlinkSync(join(root, path))}`;
  if (stat.kind === "file") return `f ${path} ${content(join(root, path))}${tail}`;
  if (stat.kind === "fifo") return `p ${path}${tail}`;
  if (stat.kind === "char" && device === "0:0") return `w ${path}`;
  return `${stat.kind === "char" ? "c" : "b"} ${path} ${device}${tail}`;
}

function content(path: string): string {
  const { size, blocks } = statSync(path);
  if (size > 1000) return `${size}${blocks * 512 < size / 1000 ? " in little" : ""}`;
  return readFileSync(path, "utf8");
}

/** What is seen where a layer lies upon a tree, both as `listing` tells them. */
export function upon(tree: readonly string[], layer: readonly string[]): string[] {
  const seen = new Map(tree.map((line) => [pathOf(line), line]));
  const removeBelow = (path: string) => {
    for (const key of seen.keys()) if (key.startsWith(`${path}/`)) seen.delete(key);
  };
  for (const line of layer) {
    const path = pathOf(line);
    const merges = line.startsWith("d ") && seen.get(path)?.startsWith("d");
    if (!merges) removeBelow(path);
    if (line.startsWith("w ")) seen.delete(path);
    else seen.set(path, line.replace(/^d! /, "d "));
  }
  return [...seen.values()].sort();
}

/** No name of the layers that are compared has a space in it. */
function pathOf(line: string): string {
  return line.split(" ")[1] ?? "";
}
