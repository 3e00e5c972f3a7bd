import { tarTrailer } from "../../base/lib/tar/writer.ts";
import { closeFd, O } from "../../base/sys/at.ts";
import type { RootedDir } from "../../base/sys/rooted-dir.ts";
import { type FileStat, lstatat } from "../../base/sys/stat.ts";
import { walkTree } from "../../base/sys/walk.ts";
import { TarNodes } from "../../core/snapshot/tar-node.ts";
import type { ContainerPath } from "./path.ts";

/**
 * A file, link or directory tree as a tar whose members begin with the path's last component. Everything below is walked
 * by descriptors; other file systems mounted below (volumes) are part of the tree, the kernel's own (proc, sysfs) are not.
 */
export async function* archiveOf(
  root: RootedDir,
  asked: ContainerPath,
  stat: FileStat,
  kernelDevices: ReadonlySet<string>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const nodes = new TarNodes();
  const crosses = (dir: number, child: string) => !kernelDevices.has(lstatat(dir, child).device);
  const name = asked.base === "/" ? "/" : asked.base;
  if (stat.kind === "directory") {
    const fd = root.open(asked.path, O.RDONLY | O.DIRECTORY);
    try {
      yield* nodes.member(fd, "", name === "/" ? "/" : `${name}/`, stat);
      const prefix = name.endsWith("/") ? name : `${name}/`;
      for (const found of walkTree(fd, { crosses })) {
        yield* nodes.member(found.dir, found.name, `${prefix}${found.path}`, found.stat);
      }
    } finally {
      closeFd(fd);
    }
  } else {
    const slash = asked.path.lastIndexOf("/");
    const parent = root.open(asked.path.slice(0, slash) || "/", O.PATH | O.DIRECTORY);
    try {
      yield* nodes.member(parent, asked.path.slice(slash + 1), name, stat);
    } finally {
      closeFd(parent);
    }
  }
  yield tarTrailer;
}
