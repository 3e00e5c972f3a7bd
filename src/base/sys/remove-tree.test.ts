import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeDirectory } from "./remove-tree.ts";

test("what somebody puts into a tree while it is being removed goes too", async () => {
  const root = mkdtempSync("/dev/shm/tug-remove-");
  try {
    const tree = join(root, "tree");
    mkdirSync(join(tree, "below"), { recursive: true });
    for (let i = 0; i < 3000; i++) writeFileSync(join(tree, `file-${i}`), "");
    const removed = removeDirectory(tree);
    // The names were read in the first slice: these are not among them.
    writeFileSync(join(tree, "late"), "");
    mkdirSync(join(tree, "late-directory"));
    await removed;
    expect(existsSync(tree)).toBe(false);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
