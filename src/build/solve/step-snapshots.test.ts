import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import { silentLog } from "../../base/lib/log.ts";
import { openDatabase } from "../../base/store/database.ts";
import { openOverlay2 } from "../../core/snapshot/drivers/overlay2/overlay2.ts";
import { BuildSnapshots } from "./step-snapshots.ts";

// Mounts wait for other tests' disks.
setDefaultTimeout(60_000);

test("what could not be written behind fails the next sync, and no later one", async () => {
  const root = mkdtempSync(join(tmpdir(), "tug-written-"));
  const db = openDatabase(join(root, "db"));
  let broken = false;
  const sync = async () => {
    if (broken) throw new Error("the disk is gone");
  };
  try {
    const snapshots = await openOverlay2({ db, root: join(root, "snapshots"), clock: systemClock, sync });
    const steps = new BuildSnapshots({ snapshots, empty: join(root, "empty"), log: silentLog });
    await steps.make(undefined, async () => undefined);
    broken = true;
    steps.writeBehind();
    broken = false;
    await expect(steps.sync()).rejects.toThrow("the disk is gone");
    expect(steps.unsynced).toBe(true);
    await steps.sync();
    expect(steps.unsynced).toBe(false);
  } finally {
    db.close();
    rmSync(root, { recursive: true, force: true });
  }
});
