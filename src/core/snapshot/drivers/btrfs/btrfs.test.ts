import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { createSubvolume, isSubvolume, snapshotSubvolume } from "../../../../base/sys/btrfs.ts";
import { listChanges } from "../../changes.ts";
import { snapshotterSuite } from "../../suite.ts";
import { LoopDisk } from "../../testdata/loop-disk.ts";
import { btrfsProblem, openBtrfs } from "./btrfs.ts";

const missing = LoopDisk.missing("btrfs");
if (missing) console.log(`skipped: snapshots on btrfs: ${missing}`);
else onBtrfs();

function onBtrfs(): void {
  const disk = LoopDisk.make("btrfs");
  afterAll(() => disk.close());
  const sync = async () => undefined;

  snapshotterSuite(
    "btrfs",
    ({ db, root }) => openBtrfs({ db, root, clock: systemClock, sync }),
    () => disk.path,
  );

  test("subvolumes that a container made, read-only ones too, are committed as directories and go with its layer", async () => {
    const root = mkdtempSync(join(disk.path, "nested-"));
    const db = openDatabase(":memory:");
    const snapshots = await openBtrfs({ db, root, clock: systemClock, sync });
    await snapshots.prepare("box", undefined);
    const layout = snapshots.layout("box");
    const tree = layout.kind === "tree" ? layout.tree : "";
    mkdirSync(join(tree, "deep"));
    createSubvolume(join(tree, "deep/one"));
    createSubvolume(join(tree, "deep/one/two"));
    writeFileSync(join(tree, "deep/one/two/f"), "f");
    snapshotSubvolume(join(tree, "deep/one/two"), join(tree, "deep/one/three"));
    // As `btrfs property set ro true` does.
    const set = Bun.spawnSync(["btrfs", "property", "set", join(tree, "deep/one"), "ro", "true"]);
    if (!set.success) throw new Error(set.stderr.toString());
    expect(listChanges(layout).map((change) => change.path)).toContain("/deep/one/two/f");
    await snapshots.remove("box");
    expect(readdirSync(root)).toEqual([".trash"]);
    expect(readdirSync(join(root, ".trash"))).toEqual([]);
    const left = Bun.spawnSync(["btrfs", "subvolume", "list", "-o", root]).stdout.toString();
    expect(left).toBe("");
    db.close();
  });

  test("a child is a snapshot of its parent and counts only what is its own", async () => {
    const root = mkdtempSync(join(disk.path, "usage-"));
    const db = openDatabase(":memory:");
    const snapshots = await openBtrfs({ db, root, clock: systemClock, sync });
    const base = `sha256:${"a".repeat(64)}` as ChainId;
    await snapshots.prepare("fill", undefined);
    const fill = snapshots.layout("fill");
    if (fill.kind === "tree") writeFileSync(join(fill.tree, "big"), Buffer.alloc(8 << 20, 1));
    await snapshots.commit(base, "fill");
    await snapshots.prepare("box", base);
    const layout = snapshots.layout("box");
    if (layout.kind === "tree") writeFileSync(join(layout.tree, "own"), Buffer.alloc(1 << 20, 1));
    expect(isSubvolume(layout.kind === "tree" ? layout.tree : "")).toBe(true);
    const { bytes, inodes } = await snapshots.usage("box");
    expect(inodes).toBe(2);
    expect(bytes).toBeGreaterThanOrEqual(1 << 20);
    expect(bytes).toBeLessThan(2 << 20);
    expect((await snapshots.usage(base)).bytes).toBeGreaterThanOrEqual(8 << 20);
    db.close();
  });

  test("a size below btrfs.min_space is refused in Docker's words", async () => {
    const root = mkdtempSync(join(disk.path, "options-"));
    const db = openDatabase(":memory:");
    const snapshots = await openBtrfs({ db, root, clock: systemClock, sync, minSpace: 1 << 30 });
    expect(() => snapshots.readOptions({ size: "1m" })).toThrow(
      "btrfs: storage size cannot be less than 1.074GB",
    );
    expect(snapshots.readOptions({})).toEqual({});
    expect(snapshots.readOptions({ size: "2g" })).toEqual({ size: 2 ** 31 });
    expect(btrfsProblem(disk.path)).toBeUndefined();
    expect(btrfsProblem(tmpdir())).toContain("wrong filesystem");
    db.close();
  });
}
