import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockDataRoot, writePidFile } from "./exclusive.ts";

const root = mkdtempSync(join(tmpdir(), "tug-exclusive-"));
afterAll(() => rmSync(root, { recursive: true }));

test("a data root has one daemon, and is free again when that one ends", () => {
  {
    using _lock = lockDataRoot(root);
    expect(() => lockDataRoot(root)).toThrow(`another daemon is running with data root ${root}`);
  }
  lockDataRoot(root)[Symbol.dispose]();
});

test("the lock is not inherited by children that outlive the daemon", () => {
  const lock = lockDataRoot(root);
  const child = Bun.spawn(["sleep", "5"]);
  lock[Symbol.dispose]();
  lockDataRoot(root)[Symbol.dispose]();
  child.kill();
});

test("a pid file of a dead daemon is taken over, and ours goes with us", () => {
  const path = join(root, "deep", "tug.pid");
  const file = writePidFile(path);
  expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  file[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, "999999999\n");
  writePidFile(path)[Symbol.dispose]();
});
