import { expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { mountSpec, unmountIfMounted } from "../../../../base/sys/mount.ts";
import { overlayProblem } from "../../probe.ts";
import { snapshotterSuite } from "../../testsuite.ts";
import { openOverlay2 } from "./overlay2.ts";

snapshotterSuite("overlay2", ({ db, root }) => openOverlay2({ db, root, clock: systemClock }));

test("120 layers mount, and a removal in the top is a whiteout in its upper directory", async () => {
  const base = mkdtempSync(join(tmpdir(), "overlay2-deep-"));
  const target = join(base, "mnt");
  mkdirSync(target);
  const db = openDatabase(join(base, "db"));
  try {
    const root = join(base, "root");
    const snapshots = await openOverlay2({ db, root, clock: systemClock, sync: async () => undefined });
    let parent: ChainId | undefined;
    for (let i = 0; i < 120; i++) {
      const name = `sha256:${String(i).padStart(64, "0")}` as ChainId;
      await snapshots.prepare(`k${i}`, parent);
      writeFileSync(join(snapshots.upperdir(`k${i}`) ?? "", `f${i}`), "");
      await snapshots.commit(name, `k${i}`);
      parent = name;
    }
    for (const mount of await snapshots.prepare("box", parent)) mountSpec(mount, target);
    expect(readdirSync(target).length).toBe(120);
    rmSync(join(target, "f7"));
    unmountIfMounted(target);
    const whiteout = lstatSync(join(snapshots.upperdir("box") ?? "", "f7"));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
  } finally {
    unmountIfMounted(target);
    db.close();
    rmSync(base, { recursive: true, force: true });
  }
});

test("a root on overlay itself is found unfit, one on a plain file system fit", () => {
  const base = mkdtempSync(join(tmpdir(), "overlay2-probe-"));
  const at = (name: string) => join(base, name);
  try {
    for (const name of ["l", "u", "w", "m"]) mkdirSync(at(name));
    expect(overlayProblem(at("fit"))).toBeUndefined();
    expect(readdirSync(at("fit"))).toEqual([]);
    const options = [`lowerdir=${at("l")}`, `upperdir=${at("u")}`, `workdir=${at("w")}`];
    mountSpec({ type: "overlay", source: "overlay", options }, at("m"));
    expect(overlayProblem(join(at("m"), "root"))).toBeString();
  } finally {
    unmountIfMounted(at("m"));
    rmSync(base, { recursive: true, force: true });
  }
});
