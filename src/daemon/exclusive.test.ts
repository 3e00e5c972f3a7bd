import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockDataRoot, writePidFile } from "./exclusive.ts";

const root = mkdtempSync(join(tmpdir(), "tug-exclusive-"));
afterAll(() => rmSync(root, { recursive: true }));

test("a data root has one daemon, and is free again when that one ends", async () => {
  {
    using _lock = await lockDataRoot(root);
    await expect(lockDataRoot(root, 50)).rejects.toThrow(`another daemon is running with data root ${root}`);
  }
  (await lockDataRoot(root))[Symbol.dispose]();
});

test("the lock is not inherited by children that outlive the daemon", async () => {
  const lock = await lockDataRoot(root);
  const child = Bun.spawn(["sleep", "5"]);
  lock[Symbol.dispose]();
  (await lockDataRoot(root))[Symbol.dispose]();
  child.kill();
});

test("a lock that what is left of the last daemon holds for a moment is waited for", async () => {
  const lock = await lockDataRoot(root);
  const next = lockDataRoot(root);
  setTimeout(() => lock[Symbol.dispose](), 50);
  (await next)[Symbol.dispose]();
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
