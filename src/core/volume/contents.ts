import { fsyncSync } from "node:fs";
import { isCode, messageOf, TugError } from "../../base/lib/errors.ts";
import { isFull } from "../../base/lib/storage-error.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../base/sys/at.ts";
import { removeTreeAt } from "../../base/sys/remove-tree.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import { readDirectory } from "../../base/sys/stat.ts";
import { syncByProcess } from "../../base/sys/sync.ts";
import { TreeCopy } from "./copy-tree.ts";
import type { VolumeContents } from "./store.ts";

/** Volume contents on the kernel's *at calls: both ends may be written by containers meanwhile, nothing is followed out of them. */
export const volumeContents: VolumeContents = {
  isEmpty: async (directory) => withDirectory(directory, (fd) => readDirectory(fd).length === 0),

  async copyUp(root, path, directory) {
    using source = RootedDir.open(root);
    // A VOLUME path that is a symbolic link in the image is followed, but never out of the image (CVE-2022-23648).
    if (source.tryStat(path)?.kind !== "directory") return false;
    const from = source.open(path, O.RDONLY | O.DIRECTORY);
    const to = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY);
    try {
      const copied = await new TreeCopy().run(from, to);
      if (copied > 0) await syncByProcess(directory);
      fsyncSync(to);
      return true;
    } catch (error) {
      throw describeFailure(error, directory);
    } finally {
      closeFd(from);
      closeFd(to);
    }
  },

  clear: async (directory) =>
    withDirectory(directory, (fd) => {
      for (const entry of readDirectory(fd)) removeTreeAt(fd, entry.name);
    }),

  async usage(directory) {
    // du walks with *at calls in a process of its own; counting a large volume here would block every other request.
    const du = Bun.spawn(["du", "-sx", "--block-size=1", directory], {
      stdout: "pipe",
      stderr: "ignore",
      stdin: "ignore",
    });
    const [text] = await Promise.all([new Response(du.stdout).text(), du.exited]);
    const bytes = Number.parseInt(text, 10);
    return Number.isFinite(bytes) ? bytes : -1;
  },
};

function withDirectory<T>(path: string, use: (fd: number) => T): T {
  const fd = openat(AT_FDCWD, path, O.RDONLY | O.DIRECTORY);
  try {
    return use(fd);
  } finally {
    closeFd(fd);
  }
}

function describeFailure(error: unknown, directory: string): TugError {
  const full = isCode(error, "resource-exhausted") || isFull(error);
  return new TugError(
    full ? "resource-exhausted" : "internal",
    `failed to populate volume ${directory}: ${messageOf(error)}`,
    { cause: error },
  );
}
