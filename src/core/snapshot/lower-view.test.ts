import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBelow } from "../../base/sys/testdata/open-below.ts";
import { LowerView } from "./lower-view.ts";

test("a view of layers of which one is gone leaves none of the others open", () => {
  const root = mkdtempSync(join(tmpdir(), "layers-"));
  try {
    expect(() => new LowerView([...Array(100).fill(root), join(root, "gone")])).toThrow("no such file");
    expect(openBelow(root)).toBe(0);
  } finally {
    rmSync(root, { recursive: true });
  }
});
