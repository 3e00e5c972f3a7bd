import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { KeptTrees } from "../sources/kept-trees.ts";
import { TestSteps } from "../testdata/steps.ts";
import { SnapshotContentKeys } from "./content-keys.ts";

test("what was hashed of a snapshot goes with it; what a helper is writing just now stays, what a killed one left goes at the next start", async () => {
  await using steps = await TestSteps.open();
  const root = mkdtempSync(join(tmpdir(), "digests-"));
  try {
    const trees = await KeptTrees.open({
      ...{ root: join(steps.root, "contexts"), clock: systemClock, log: silentLog, bootId: "a boot" },
    });
    const open = () => new SnapshotContentKeys({ ...steps, trees, root });
    const keys = open();
    for (const name of ["build-gone", "build-there", "sha256%3Athere", "build-there.12"])
      writeFileSync(join(root, name), "[]");
    keys.prune((snapshot) => ["build-there", "sha256:there"].includes(snapshot));
    expect(readdirSync(root).sort()).toEqual(["build-there", "build-there.12", "sha256%3Athere"]);
    open();
    expect(readdirSync(root).sort()).toEqual(["build-there", "sha256%3Athere"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
