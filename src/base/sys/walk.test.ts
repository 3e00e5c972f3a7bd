import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AT_FDCWD, closeFd, mkdirat, O, openat } from "./at.ts";
import { mountSpec, unmountIfMounted } from "./mount/mount.ts";
import { removeDirectory, removeTree, removeTreeAt } from "./remove-tree.ts";
import { openBelow } from "./testdata/open-below.ts";
import { walkTree } from "./walk.ts";

let base = "";
const at = (...parts: string[]) => join(base, ...parts);
beforeEach(() => {
  // In memory: thousands of directories are seconds on a busy disk, and the kernel walks them alike.
  base = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "walk-"));
});
afterEach(() => {
  unmountIfMounted(at("tree", "mounted"));
  rmSync(base, { recursive: true, force: true });
});

function paths(root: string): string[] {
  const fd = openat(AT_FDCWD, root, O.PATH | O.DIRECTORY);
  try {
    return [...walkTree(fd)].map((entry) => entry.path);
  } finally {
    closeFd(fd);
  }
}

/** A chain of directories, deeper than the path limit and the usual descriptor limit. */
function deep(levels: number): void {
  let fd = openat(AT_FDCWD, base, O.PATH | O.DIRECTORY);
  mkdirat(fd, "tree", 0o755);
  let name = "tree";
  for (let i = 0; i < levels; i++) {
    const next = openat(fd, name, O.PATH | O.DIRECTORY);
    closeFd(fd);
    fd = next;
    name = "d";
    mkdirat(fd, name, 0o755);
  }
  closeFd(fd);
}

test("a walk lists every node once, directories first, following nothing", () => {
  mkdirSync(at("tree", "b", "c"), { recursive: true });
  writeFileSync(at("tree", "b", "c", "f"), "");
  writeFileSync(at("tree", "a"), "");
  symlinkSync("/", at("tree", "z"));
  expect(paths(at("tree"))).toEqual(["a", "b", "b/c", "b/c/f", "z"]);
});

test("a walk and a removal manage trees of any depth", async () => {
  deep(3000);
  expect(paths(at("tree")).length).toBe(3000);
  const fd = openat(AT_FDCWD, base, O.PATH | O.DIRECTORY);
  await removeTree(fd, "tree");
  closeFd(fd);
  expect(existsSync(at("tree"))).toBe(false);
});

test("a removal follows no link and refuses to cross a mount", () => {
  mkdirSync(at("outside"));
  writeFileSync(at("outside", "canary"), "");
  mkdirSync(at("tree", "mounted"), { recursive: true });
  symlinkSync(at("outside"), at("tree", "link"));
  mountSpec({ type: "bind", source: at("outside"), options: [] }, at("tree", "mounted"));
  const fd = openat(AT_FDCWD, base, O.PATH | O.DIRECTORY);
  expect(() => removeTreeAt(fd, "tree")).toThrow("cross-device");
  expect(paths(at("tree"))).toContain("mounted");
  unmountIfMounted(at("tree", "mounted"));
  removeTreeAt(fd, "tree");
  expect(() => removeTreeAt(fd, "tree")).toThrow("no such file");
  closeFd(fd);
  expect(readdirSync(at("outside"))).toEqual(["canary"]);
});

test("a tree whose parts others remove at the same time is gone afterwards", async () => {
  for (let round = 0; round < 400; round++) {
    const parts = [0, 1, 2].map((i) => at("tree", "exec", String(i)));
    for (const part of parts) mkdirSync(part, { recursive: true });
    for (let i = 0; i < round % 4; i++) writeFileSync(at("tree", "exec", "0", String(i)), "");
    // Node's way runs in threads of its own.
    const others = parts.map((part) => rm(part, { recursive: true, force: true }));
    const [ours] = await Promise.allSettled([removeDirectory(at("tree")), ...others]);
    // Whether those others mind that somebody is faster is theirs.
    if (ours.status === "rejected") throw ours.reason;
    expect([round, existsSync(at("tree"))]).toEqual([round, false]);
  }
  await removeDirectory(at("tree"));
  await removeDirectory(at("no", "such", "parent"));
});

test("a walk under which a directory is moved away ends with an error and leaves no descriptor open", () => {
  deep(80);
  const open = () => openBelow(base);
  const fd = openat(AT_FDCWD, at("tree"), O.PATH | O.DIRECTORY);
  const before = open();
  try {
    const walked = () => {
      for (const { path } of walkTree(fd)) {
        // So deep that the way back goes through "..", which leads elsewhere now.
        if (path.length === 2 * 80 - 1) renameSync(at("tree", ..."d".repeat(10)), at("elsewhere"));
      }
    };
    expect(walked).toThrow(expect.objectContaining({ code: "ESTALE" }));
    expect(open()).toBe(before);
  } finally {
    closeFd(fd);
  }
});
