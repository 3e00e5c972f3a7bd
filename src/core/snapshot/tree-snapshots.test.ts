import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { openDatabase } from "../../base/store/database.ts";
import { mountSpec, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { readMountInfo } from "../../base/sys/mount/mountinfo.ts";
import { hostProgram } from "../../base/sys/process/host-program.ts";
import type { SnapshotterDeps } from "./directory-snapshots.ts";
import { readSize } from "./read-size.ts";
import type { Snapshotter } from "./snapshotter.ts";
import { snapshotterSuite } from "./suite.ts";
import { openTreeSnapshots } from "./tree-snapshots.ts";

/** Stands for a pool (zfs, thin devices), which test machines lack: a volume is a directory of a file system in memory. */
const pool = mkdtempSync("/dev/shm/tug-volumes-");
afterAll(() => rmSync(pool, { recursive: true, force: true }));

const volumeOf = (directory: string) => join(pool, basename(directory).split("-")[0] ?? "");
const refusal = "sizes are the pool's business";

function openVolumes(deps: Omit<SnapshotterDeps, "clock">): Promise<Snapshotter> {
  const attach = (tree: string) =>
    mountSpec({ type: "bind", source: volumeOf(dirname(tree)), options: [] }, tree);
  return openTreeSnapshots(
    { ...deps, clock: systemClock },
    {
      name: "volumes",
      shares: true,
      status: () => [],
      readOptions: (options) => readSize(options, { unknown: (key) => `Unknown option ${key}`, refusal }),
      hooks: {
        retire: (path) => void unmountIfMounted(join(path, "tree")),
        destroy: async (path) => {
          unmountIfMounted(join(path, "tree"));
          rmSync(volumeOf(path), { recursive: true, force: true });
        },
      },
      make: async ({ directory, tree, parent }) => {
        const volume = volumeOf(directory);
        mkdirSync(volume);
        chmodSync(volume, 0o755);
        // The parent's volume, not its tree: that is mounted only while somebody looks.
        if (parent !== undefined)
          await hostProgram(["cp", "--archive", "--", `${volumeOf(dirname(parent))}/.`, volume]);
        mkdirSync(tree);
        attach(tree);
      },
      volumes: { attach, detach: (tree) => void unmountIfMounted(tree) },
      describe: (tree) => ({ Volume: volumeOf(dirname(tree)) }),
    },
  );
}

snapshotterSuite("trees that are file systems of their own", openVolumes);

test("a tree is mounted while it is used: not once it is committed, again when somebody looks, and after a boot", async () => {
  const root = mkdtempSync(join(tmpdir(), "volumes-"));
  const db = openDatabase(":memory:");
  const before = readdirSync(pool).sort();
  const mounted = () => readMountInfo().filter(({ mountpoint }) => mountpoint.startsWith(`${root}/`)).length;
  const [base, other] = ["a", "b"].map((name) => `sha256:${name.repeat(64)}` as ChainId);
  if (!base || !other) throw new Error("no names");
  try {
    const snapshots = await openVolumes({ db, root });
    await snapshots.prepare("fill", undefined);
    const filled = snapshots.layout("fill");
    writeFileSync(join(filled.kind === "tree" ? filled.tree : "", "f"), "f");
    expect(mounted()).toBe(1);
    await snapshots.commit(base, "fill");
    expect(mounted()).toBe(0);
    await snapshots.prepare("more", base);
    // Who unpacks asks for the tree alone.
    const layout = snapshots.layout("more");
    const tree = layout.kind === "tree" ? layout.tree : "";
    expect([readdirSync(tree), mounted()]).toEqual([["f"], 1]);
    expect(existsSync(join(layout.kind === "tree" ? (layout.parent ?? "") : "", "f"))).toBe(true);
    expect(mounted()).toBe(2);
    // Not where its directory is shown: a mount of its own is not there.
    expect(snapshots.mounts("more", "/elsewhere")).toEqual([{ type: "bind", source: tree, options: ["rw"] }]);
    expect(snapshots.describe("more", "/merged")).toEqual({ Volume: volumeOf(dirname(tree)) });
    for (const { mountpoint } of readMountInfo())
      if (mountpoint.startsWith(`${root}/`)) unmountIfMounted(mountpoint);
    // A commit after a boot still reads what the volume holds.
    const again = await openVolumes({ db, root });
    await again.commit(other, "more", { relaxed: true });
    expect(mounted()).toBe(0);
    expect((await again.usage(other)).inodes).toBe(1);
    await again.remove(other);
    await again.remove(base);
    expect([readdirSync(root), mounted(), readdirSync(pool).sort()]).toEqual([[".trash"], 0, before]);
  } finally {
    for (const { mountpoint } of readMountInfo().reverse())
      if (mountpoint.startsWith(`${root}/`)) unmountIfMounted(mountpoint);
    db.close();
    rmSync(root, { recursive: true, force: true });
  }
});
