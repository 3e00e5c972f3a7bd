import { accessSync, chmodSync, constants, mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { invalid, messageOf } from "../../../../base/lib/errors.ts";
import { mountSpec, unmountIfMounted } from "../../../../base/sys/mount/mount.ts";
import { mountOf, readMountInfo } from "../../../../base/sys/mount/mountinfo.ts";
import { hostProgram, hostProgramSync } from "../../../../base/sys/process/host-program.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { readSize } from "../../read-size.ts";
import type { Snapshotter } from "../../snapshotter.ts";
import { openTreeSnapshots } from "../../tree-snapshots.ts";

export interface ZfsDeps extends SnapshotterDeps {
  /** The dataset below which each tree is one, e.g. "pool/tug" (`zfs.fsname`). */
  readonly dataset: string;
  /** Runs `zfs` with these arguments; its output. */
  readonly zfs?: (...args: readonly string[]) => Promise<string>;
}

/** The dataset that a directory lies on; undefined when it lies on another file system. */
export function datasetOf(directory: string): string | undefined {
  const mount = mountOf(readMountInfo(), directory);
  return mount?.type === "zfs" ? mount.source : undefined;
}

/** Why zfs snapshots cannot be kept for `root` in `dataset` (`zfs.fsname`, else the one that `root` lies on); undefined when they can. */
export function zfsProblem(
  root: string,
  dataset: string | undefined,
  program: string | undefined,
): string | undefined {
  const parent = dataset ?? datasetOf(root);
  if (parent === undefined)
    return `prerequisites for driver not satisfied (wrong filesystem?): ${root} does not lie on zfs, and --storage-opt zfs.fsname names no dataset`;
  if (program === undefined) return "the program zfs was not found (Debian package zfsutils-linux)";
  try {
    accessSync("/dev/zfs", constants.R_OK | constants.W_OK);
    hostProgramSync([program, "list", "-H", "-o", "name", "-t", "filesystem", parent]);
    return undefined;
  } catch (error) {
    return `prerequisites for driver not satisfied: ${messageOf(error)}`;
  }
}

/**
 * Snapshots that are datasets: a child is a clone of its parent. They are mounted by the daemon (mountpoint=legacy), so that nothing is
 * mounted at boot that nobody asked for. The dataset's name ends as its snapshot's directory does. A size is a quota; it counts what the
 * tree refers to, as Docker's does.
 */
export function openZfs(deps: ZfsDeps): Promise<Snapshotter> {
  const { zfs = (...args) => hostProgram(["zfs", ...args]) } = deps;
  const named = (directory: string) => `${deps.dataset}/${basename(directory).split("-")[0]}`;
  const attach = (tree: string) =>
    mountSpec({ type: "zfs", source: named(dirname(tree)), options: [] }, tree);
  return openTreeSnapshots(deps, {
    name: "zfs",
    shares: true,
    hooks: {
      retire: (path) => void unmountIfMounted(join(path, "tree")),
      destroy: async (path) => {
        unmountIfMounted(join(path, "tree"));
        await destroyDataset(zfs, named(path));
      },
    },
    status: () => [
      ["Zpool", deps.dataset.split("/")[0] ?? ""],
      ["Parent Dataset", deps.dataset],
    ],
    readOptions: (options) => {
      const read = readSize(options, { unknown: (key) => `Unknown option ${key}`, refusal: undefined });
      if (Object.keys(options).length > 0 && !read.size) throw invalid("zfs: invalid storage size: 0B");
      return read;
    },
    make: async ({ directory, tree, parent, size }) => {
      const settings = ["-o", "mountpoint=legacy", ...(size ? ["-o", `refquota=${size}`] : [])];
      if (parent === undefined) await zfs("create", ...settings, named(directory));
      else {
        const snapshot = `${named(dirname(parent))}@${basename(directory)}`;
        await zfs("snapshot", snapshot);
        try {
          await zfs("clone", ...settings, snapshot, named(directory));
        } finally {
          // It goes with its clone.
          await zfs("destroy", "-d", snapshot);
        }
      }
      mkdirSync(tree);
      attach(tree);
      if (parent === undefined) chmodSync(tree, 0o755);
    },
    volumes: { attach, detach: (tree) => void unmountIfMounted(tree) },
    describe: (tree) => ({ Dataset: named(dirname(tree)), Mountpoint: tree }),
  });
}

/** Removes a dataset if there is one; clones that others made of it since stay and take over what they share with it. */
async function destroyDataset(zfs: NonNullable<ZfsDeps["zfs"]>, name: string): Promise<void> {
  try {
    for (;;) {
      const failure = await zfs("destroy", "-r", name).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) return;
      // A snapshot's children may have gone over to an equal one.
      const listed = await zfs("get", "-rH", "-t", "snapshot", "-o", "value", "clones", name);
      const [clone] = listed.split(/[\s,]+/).filter((one) => one !== "" && one !== "-");
      if (clone === undefined) throw failure;
      await zfs("promote", clone);
    }
  } catch (error) {
    if (!messageOf(error).includes("does not exist")) throw error;
  }
}
