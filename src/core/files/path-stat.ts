import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import type { FileKind, FileStat } from "../../base/sys/stat.ts";

/** Go's io/fs.FileMode: the type bits stand at the top of 32. */
const goKinds: Readonly<Record<FileKind, number>> = {
  file: 0,
  directory: 1 << 31,
  symlink: 1 << 27,
  block: 1 << 26,
  char: (1 << 26) | (1 << 21),
  fifo: 1 << 25,
  socket: 1 << 24,
  unknown: 1 << 19,
};

/** st_mode as Go's os.FileMode has it. */
function goFileMode(stat: Pick<FileStat, "kind" | "mode">): number {
  let mode = (stat.mode & 0o777) | goKinds[stat.kind];
  if (stat.mode & 0o4000) mode |= 1 << 23;
  if (stat.mode & 0o2000) mode |= 1 << 22;
  if (stat.mode & 0o1000) mode |= 1 << 20;
  return mode >>> 0;
}

export function pathStat(name: string, stat: FileStat, linkTarget: string): PathStat {
  return {
    name,
    size: stat.size,
    mode: goFileMode(stat),
    mtime: formatRfc3339Nano(stat.mtime),
    linkTarget,
  };
}
