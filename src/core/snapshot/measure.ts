import { AT_FDCWD, closeFd, O, openat } from "../../base/sys/at.ts";
import { type FileStat, lstatat } from "../../base/sys/stat.ts";
import { walkTree } from "../../base/sys/walk.ts";
import type { CountedFiles, Usage } from "./snapshotter.ts";

/** What a tree takes, and what of that it may share with others. */
export interface Measured extends Usage {
  /** Inode and bytes of each file that has several names, wherever these are. */
  readonly shared: readonly SharedFile[];
}

export interface SharedFile {
  readonly ino: bigint;
  readonly bytes: number;
}

/**
 * Bytes and inodes of a tree as `du` counts them: hard links once, allocated blocks, the root included. Of several trees that share files
 * with one another the same `counted` has each file counted in the first.
 */
export async function measureTree(path: string, counted?: CountedFiles): Promise<Measured> {
  return await inTree(path, (nodes) => measureNodes(nodes, counted));
}

/** The sum of nodes, each hard-linked one once, in slices of a few milliseconds. */
export async function measureNodes(
  nodes: Iterable<FileStat>,
  counted: CountedFiles = new Set(),
): Promise<Measured> {
  let bytes = 0;
  let inodes = 0;
  const shared: SharedFile[] = [];
  await forEachInSlices(nodes, (stat) => {
    if (isShared(stat)) {
      if (counted.has(stat.ino)) return;
      counted.add(stat.ino);
      shared.push({ ino: stat.ino, bytes: stat.allocated });
    }
    bytes += stat.allocated;
    inodes++;
  });
  return { bytes, inodes, shared };
}

/** Bytes of the files of a tree that have all their names in it. */
export async function measureAlone(path: string): Promise<number> {
  let bytes = 0;
  const names = new Map<bigint, number>();
  await inTree(path, (nodes) =>
    forEachInSlices(nodes, (stat) => {
      const seen = (names.get(stat.ino) ?? 0) + 1;
      if (isShared(stat)) names.set(stat.ino, seen);
      if (!isShared(stat) || seen === stat.nlink) bytes += stat.allocated;
    }),
  );
  return bytes;
}

function isShared(stat: FileStat): boolean {
  return stat.nlink > 1 && stat.kind !== "directory";
}

async function inTree<R>(path: string, use: (nodes: Iterable<FileStat>) => Promise<R>): Promise<R> {
  const fd = openat(AT_FDCWD, path, O.PATH | O.DIRECTORY);
  try {
    return await use(
      (function* () {
        yield lstatat(fd);
        for (const { stat } of walkTree(fd)) yield stat;
      })(),
    );
  } finally {
    closeFd(fd);
  }
}

async function forEachInSlices(nodes: Iterable<FileStat>, each: (stat: FileStat) => void): Promise<void> {
  let since = performance.now();
  for (const stat of nodes) {
    each(stat);
    if (performance.now() - since < 4) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    since = performance.now();
  }
}
