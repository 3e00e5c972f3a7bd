import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LowerView } from "./lower-view.ts";

test("a view of layers of which one is gone leaves none of the others open", () => {
  const root = mkdtempSync(join(tmpdir(), "layers-"));
  try {
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    expect(() => new LowerView([...Array(100).fill(root), join(root, "gone")])).toThrow("no such file");
    expect(open()).toBe(before);
  } finally {
    rmSync(root, { recursive: true });
  }
});
