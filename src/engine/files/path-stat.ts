import { posix } from "node:path";
import { notFound } from "../../base/lib/errors.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import { SystemError } from "../../base/sys/libc.ts";
import type { RootedDir } from "../../base/sys/rooted-dir.ts";
import type { FileStat } from "../../base/sys/stat.ts";
import type { ContainerPath } from "./path.ts";

/** X-Docker-Container-Path-Stat before base64. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Go's os.FileMode bits. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

/** Bits of Go's os.FileMode above the permissions (package io/fs). */
const goMode = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  pipe: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  char: 2 ** 21,
  sticky: 2 ** 20,
};

export function goFileMode(stat: FileStat): number {
  const kind = {
    file: 0,
    directory: goMode.directory,
    symlink: goMode.symlink,
    char: goMode.device + goMode.char,
    block: goMode.device,
    fifo: goMode.pipe,
    socket: goMode.socket,
    unknown: 0,
  }[stat.kind];
  return (
    kind +
    (stat.mode & 0o4000 ? goMode.setuid : 0) +
    (stat.mode & 0o2000 ? goMode.setgid : 0) +
    (stat.mode & 0o1000 ? goMode.sticky : 0) +
    (stat.mode & 0o777)
  );
}

/** Looks at a path; Docker's words when there is nothing. */
export function statIn(root: RootedDir, container: string, asked: ContainerPath): FileStat {
  try {
    return asked.follow ? root.stat(asked.path) : root.lstat(asked.path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw notFound(`Could not find the file ${asked.path} in container ${container}`, error);
  }
}

export function toPathStat(root: RootedDir, asked: ContainerPath, stat: FileStat): PathStat {
  return {
    name: asked.base,
    size: stat.size,
    mode: goFileMode(stat),
    mtime: formatRfc3339Nano(stat.mtime),
    linkTarget: stat.kind === "symlink" ? linkTarget(root, asked.path) : "",
  };
}

/** Where a link leads, as a path of the container. */
function linkTarget(root: RootedDir, path: string): string {
  const link = root.readlink(path);
  return link.startsWith("/") ? posix.normalize(link) : posix.join(posix.dirname(path), link);
}
