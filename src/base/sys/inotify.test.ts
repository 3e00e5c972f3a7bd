import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryWatcher } from "./inotify.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "inotify-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Collects names until `count` have come. */
function collector(count: number) {
  const names: (string | undefined)[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = (name: string | undefined) => {
    names.push(name);
    if (names.length === count) resolve();
  };
  return { names, listener, all: promise };
}

test("files that are created and renamed in are reported, each once", async () => {
  await using watcher = new DirectoryWatcher((error) => expect(error).toBeUndefined());
  const { names, listener, all } = collector(3);
  using _watch = watcher.watch(root, listener);
  writeFileSync(join(root, "exit.AB12"), "0");
  renameSync(join(root, "exit.AB12"), join(root, "exit"));
  writeFileSync(join(root, "oom"), "");
  await all;
  expect(names).toEqual(["exit.AB12", "exit", "oom"]);
});

test("thousands of events at once all arrive", async () => {
  await using watcher = new DirectoryWatcher((error) => expect(error).toBeUndefined());
  const { names, listener, all } = collector(1000);
  using _watch = watcher.watch(root, listener);
  for (let i = 0; i < 1000; i++) writeFileSync(join(root, `file-${"x".repeat(i % 40)}${i}`), "");
  await all;
  expect(new Set(names).size).toBe(1000);
});

test("a listener that throws does not end the watch for itself or others", async () => {
  const errors: unknown[] = [];
  await using watcher = new DirectoryWatcher((error) => errors.push(error));
  const { names, listener, all } = collector(2);
  using _watch = watcher.watch(root, (name) => {
    listener(name);
    throw new Error("boom");
  });
  writeFileSync(join(root, "one"), "");
  writeFileSync(join(root, "two"), "");
  await all;
  expect(names).toEqual(["one", "two"]);
  expect(errors.length).toBeGreaterThan(0);
});

test("a disposed watch is silent, and the directory may be gone by then", async () => {
  await using watcher = new DirectoryWatcher((error) => expect(error).toBeUndefined());
  const seen: (string | undefined)[] = [];
  const watch = watcher.watch(root, (name) => seen.push(name));
  rmSync(root, { recursive: true });
  watch[Symbol.dispose]();
  watch[Symbol.dispose]();
  expect(seen).toEqual([]);
});
