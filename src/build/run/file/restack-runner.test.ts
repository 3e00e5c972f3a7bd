import { expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { copyOp, stepOf, TestSteps } from "../testdata/steps.ts";
import { FileRunner } from "./file-runner.ts";
import { RestackRunner } from "./restack-runner.ts";

// Each step is a process of its own.
setDefaultTimeout(60_000);

for (const driver of ["overlay2", "vfs"] as const) {
  test(`a layer that was made on nothing goes onto any root as stacked layers do (${driver})`, async () => {
    await using steps = await TestSteps.open(driver);
    const source = await steps.tree((root) => {
      mkdirSync(join(root, "d/was-file"), { recursive: true });
      writeFileSync(join(root, "d/was-file/x"), "x");
      writeFileSync(join(root, "d/was-dir"), "file");
      writeFileSync(join(root, "d/new"), "new");
      writeFileSync(join(root, "d/large"), Buffer.alloc(1 << 20, "l"));
    });
    const base = await steps.tree((root) => {
      mkdirSync(join(root, "app/was-dir/below"), { recursive: true });
      writeFileSync(join(root, "app/was-file"), "base");
      writeFileSync(join(root, "app/kept"), "kept");
      chmodSync(join(root, "app"), 0o700);
      symlinkSync("/app", join(root, "link"));
      chmodSync(root, 0o751);
    });
    const layer = await new FileRunner(steps).run(stepOf(copyOp(["d"], "/app"), [undefined, source]));
    const made = await new RestackRunner(steps).run(
      stepOf({ kind: "restack", root: 0, layer: 1 } as const, [base, layer]),
    );
    if (made === undefined) throw new Error("nothing was made");
    steps.look(made, (root) => {
      expect(readdirSync(join(root, "app")).sort()).toEqual(["kept", "large", "new", "was-dir", "was-file"]);
      expect(readFileSync(join(root, "app/was-dir"), "utf8")).toBe("file");
      expect(readFileSync(join(root, "app/was-file/x"), "utf8")).toBe("x");
      expect(lstatSync(join(root, "link")).isSymbolicLink()).toBe(true);
      expect([statSync(join(root, "app")).mode & 0o777, statSync(root).mode & 0o777]).toEqual([0o755, 0o751]);
    });
    steps.look(base, (root) => expect(readFileSync(join(root, "app/was-file"), "utf8")).toBe("base"));
    // Stacked as they are, a layer's files are there once and have one name each, as cron, gzip and xz want it.
    if (driver === "overlay2") {
      steps.look(made, (root) =>
        expect(["large", "new"].map((name) => lstatSync(join(root, "app", name)).nlink)).toEqual([1, 1]),
      );
      expect(readdirSync(steps.snapshotter.upperdir(made) ?? "")).toEqual([]);
    }
    // The layer goes, what was made of it stays, and can be had twice in one root.
    const twice = await new RestackRunner(steps).run(
      stepOf({ kind: "restack", root: 0, layer: 1 } as const, [made, layer]),
    );
    steps.look(twice ?? made, (root) => expect(readFileSync(join(root, "app/new"), "utf8")).toBe("new"));
    expect(
      await new RestackRunner(steps).run(stepOf({ kind: "restack", root: undefined, layer: 0 }, [layer])),
    ).toBe(layer);
    if (layer !== undefined) await steps.snapshots.discard(layer);
    steps.look(made, (root) => expect(statSync(join(root, "app/large")).size).toBe(1 << 20));
  });
}
