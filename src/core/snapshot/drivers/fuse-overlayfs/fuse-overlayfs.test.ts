import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import { until } from "../../../../base/lib/testdata/until.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { mountSpec, unmountIfMounted } from "../../../../base/sys/mount/mount.ts";
import { snapshotterSuite } from "../../suite.ts";
import { fuseOverlayProblem, openFuseOverlay } from "./fuse-overlayfs.ts";

const program = Bun.which("fuse-overlayfs") ?? undefined;
const probe = mkdtempSync(join(tmpdir(), "fuse-probe-"));
const missing = fuseOverlayProblem(probe, program);
rmSync(probe, { recursive: true });
if (missing || program === undefined) console.log(`skipped: snapshots on fuse-overlayfs: ${missing}`);
else onFuse(program);

function onFuse(path: string): void {
  const sync = async () => undefined;
  snapshotterSuite("fuse-overlayfs", ({ db, root }) =>
    openFuseOverlay({ db, root, clock: systemClock, program: path, sync }),
  );

  test("a mount in another mount namespace that nobody uses any more is ended at the next start", async () => {
    const base = mkdtempSync(join(tmpdir(), "fuse-stray-"));
    const db = openDatabase(":memory:");
    const open = () =>
      openFuseOverlay({ db, root: join(base, "root"), clock: systemClock, program: path, sync });
    const target = join(base, "mnt");
    mkdirSync(target);
    mkdirSync(join(base, "root"));
    try {
      const snapshots = await open();
      const parent = `sha256:${"a".repeat(64)}` as ChainId;
      await snapshots.prepare("fill", undefined);
      await snapshots.commit(parent, "fill");
      const [mount] = await snapshots.prepare("box", parent);
      const [kept] = await snapshots.prepare("kept", parent);
      if (!mount || !kept) throw new Error("no mounts");
      mountSpec(kept, target);
      const before = servers(base);
      expect(before.length).toBe(1);
      // A helper that is killed after it has mounted.
      const command = `${path} -o ${mount.options.join(",")} ${target}`;
      const mounted = Bun.spawnSync(["unshare", "-m", "sh", "-c", command]);
      if (!mounted.success) throw new Error(mounted.stderr.toString());
      expect(servers(base).length).toBe(2);
      await open();
      // The program ends after its mount, by itself.
      await until(() => servers(base).length === 1);
      expect(servers(base)).toEqual(before);
      unmountIfMounted(target);
      await until(() => servers(base).length === 0);
    } finally {
      unmountIfMounted(target);
      db.close();
      rmSync(base, { recursive: true, force: true });
    }
  });

  test("what is missing is named", () => {
    expect(fuseOverlayProblem(tmpdir(), undefined)).toContain("fuse-overlayfs was not found");
    expect(existsSync(join(tmpdir(), ".probe"))).toBe(false);
  });
}

/** Pids of the processes that serve mounts of a directory. */
function servers(base: string): string[] {
  const { stdout } = Bun.spawnSync(["pgrep", "-f", `fuse-overlayfs .*workdir=${base}/`]);
  return stdout
    .toString()
    .split("\n")
    .filter((pid) => pid !== "");
}
