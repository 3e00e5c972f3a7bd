import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeHost } from "./host-facts.ts";

test("device nodes are looked for in the directories that are wanted; those that go away meanwhile, or lie too deep, have none", () => {
  const root = mkdtempSync(join(tmpdir(), "tug-devices-"));
  try {
    for (const name of ["kept/sub", "left/sub", "going"]) mkdirSync(join(root, name), { recursive: true });
    for (const name of ["null", "kept/sub/null", "left/sub/null", "going/null"])
      expect(Bun.spawnSync(["mknod", join(root, name), "c", "1", "3"]).exitCode).toBe(0);
    // Directories whose path is longer than PATH_MAX.
    const chain = join(...Array<string>(15).fill("d".repeat(200)));
    for (const name of ["deep", "more"]) mkdirSync(join(root, name, chain), { recursive: true });
    renameSync(join(root, "more"), join(root, "deep", chain, "more"));
    const entered: string[] = [];
    const found = probeHost().devices.below(root, (path) => {
      const name = path.slice(root.length + 1);
      entered.push(name);
      if (name === "going") rmSync(path, { recursive: true });
      return name !== "left";
    });
    expect(existsSync(join(root, "going"))).toBe(false);
    expect(found?.map(({ path }) => path.slice(root.length + 1)).sort()).toEqual(["kept/sub/null", "null"]);
    expect(found?.[0]).toMatchObject({ type: "c", major: 1, minor: 3 });
    expect(entered).not.toContain("left/sub");
  } finally {
    Bun.spawnSync(["rm", "-rf", root]);
  }
});
