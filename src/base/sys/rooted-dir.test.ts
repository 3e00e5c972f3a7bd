import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makedev, RENAME_EXCHANGE, S_IFCHR, S_IFIFO } from "./at.ts";
import { RootedDir } from "./rooted-dir.ts";

let base = "";
let root: RootedDir;
const outside = () => join(base, "outside");
const inside = (path: string) => join(base, "root", path);

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "rooted-"));
  mkdirSync(inside(""), { recursive: true });
  mkdirSync(outside());
  writeFileSync(join(outside(), "canary"), "untouched");
  root = RootedDir.open(inside(""));
});
afterEach(() => {
  root[Symbol.dispose]();
  rmSync(base, { recursive: true, force: true });
});

test("links and dots never lead out of the root", () => {
  symlinkSync(outside(), inside("abs"));
  symlinkSync("../../outside", inside("rel"));
  symlinkSync("/etc", inside("etc"));
  for (const path of ["abs/canary", "rel/canary", "../outside/canary", "/../../outside/canary"]) {
    expect(() => root.readFile(path, 100)).toThrow("no such file");
    expect(() => root.writeFile(path, Buffer.from("x"), 0o644)).toThrow("no such file");
    expect(() => root.unlink(path)).toThrow("no such file");
    expect(root.tryLstat(path)).toBeUndefined();
  }
  mkdirSync(inside("etc2"));
  symlinkSync("/etc2", inside("etc3"));
  root.writeFile("etc3/passwd", Buffer.from("in"), 0o600);
  expect(readFileSync(inside("etc2/passwd"), "utf8")).toBe("in");
  expect(readFileSync(join(outside(), "canary"), "utf8")).toBe("untouched");
});

test("a magic link of /proc is refused", () => {
  using proc = RootedDir.open("/proc");
  expect(() => proc.open("self/root", 0)).toThrow();
});

test("the last component is never followed when a name is made, changed or removed", () => {
  symlinkSync(join(outside(), "canary"), inside("link"));
  root.lutimes("link", { atime: 1_000_000_001n, mtime: -1_500_000_000n });
  root.setXattr("link", "trusted.note", Buffer.from("on the link"));
  expect(root.getXattr("link", "trusted.note")?.toString()).toBe("on the link");
  expect(root.listXattrs("link")).toEqual(["trusted.note"]);
  root.removeXattr("link", "trusted.note");
  expect(root.getXattr("link", "trusted.note")).toBeUndefined();
  const stat = root.lstat("link");
  expect([stat.kind, stat.mtime]).toEqual(["symlink", -1_500_000_000n]);
  expect(root.readlink("link")).toBe(join(outside(), "canary"));
  root.link("link", "link2");
  expect(root.lstat("link2").nlink).toBe(2);
  root.rename("link2", "link3");
  root.removeAll("link3");
  root.unlink("link");
  expect(lstatSync(join(outside(), "canary")).uid).toBe(0);
});

test("directories, nodes, modes and times are made as asked", () => {
  expect(root.mkdirAll("/a/b//./c", 0o2751, { uid: 70000, gid: 5 })).toEqual(["/a", "/a/b", "/a/b/c"]);
  expect(root.mkdirAll("/a/b/c", 0o755)).toEqual([]);
  const made = root.lstat("a/b/c");
  expect([made.kind, made.mode & 0o7777, made.uid, made.gid]).toEqual(["directory", 0o2751, 70000, 5]);
  root.mknod("a/null", S_IFCHR | 0o666, makedev(1, 3));
  root.mknod("a/pipe", S_IFIFO | 0o600);
  expect([root.lstat("a/null").rdevMajor, root.lstat("a/null").rdevMinor]).toEqual([1, 3]);
  expect(() => root.readFile("a/pipe", 10)).toThrow("invalid argument");
  root.chmod("a/pipe", 0o4640);
  expect(root.lstat("a/pipe").mode & 0o7777).toBe(0o4640);
  expect(
    root
      .readdir("a")
      .map((e) => `${e.name}:${e.kind}`)
      .sort(),
  ).toEqual(["b:directory", "null:char", "pipe:fifo"]);
  expect(() => root.mkdirAll("a/null/x", 0o755)).toThrow("not a directory");
  root.symlink("missing", "dangling");
  expect(() => root.mkdirAll("dangling/x", 0o755)).toThrow();
  root.removeAll("a");
  root.removeAll("a");
  expect(existsSync(inside("a"))).toBe(false);
});

test("what a dangling link leads to is made where that is asked for, inside the root whatever the link says", () => {
  root.mkdir("way", 0o755);
  for (const [target, name] of [
    ["/absent/deep", "absolute"],
    ["../relative", "way/up"],
    ["../../../../far", "way/out"],
    ["absolute/behind", "chain"],
    [outside(), "escape"],
    ["loop", "loop"],
  ] as const)
    root.symlink(target, name);
  expect(root.mkdirAllThroughLinks("/absolute/sub", 0o755)).toEqual([
    "/absent",
    "/absent/deep",
    "/absolute/sub",
  ]);
  expect(root.stat("/absent/deep/sub").kind).toBe("directory");
  root.mkdirAllThroughLinks("way/up", 0o755);
  root.mkdirAllThroughLinks("way/out/there", 0o755);
  root.mkdirAllThroughLinks("chain", 0o755);
  for (const path of ["/relative", "/far/there", "/absent/deep/behind"])
    expect(root.lstat(path).kind).toBe("directory");
  root.mkdirAllThroughLinks("escape/new", 0o755);
  expect(existsSync(inside(`${outside()}/new`))).toBe(true);
  expect(existsSync(join(outside(), "new"))).toBe(false);
  expect(() => root.mkdirAllThroughLinks("loop", 0o755)).toThrow();
});

test("names that are not UTF-8 round-trip", () => {
  root.writeFile("caf\udce9", Buffer.from("latin"), 0o644);
  expect(root.readdir("/").map((e) => e.name)).toEqual(["caf\udce9"]);
  expect(root.readFile("caf\udce9", 10).toString()).toBe("latin");
});

test("a directory swapped for a link by a racing process never lets a write escape", async () => {
  mkdirSync(inside("flip"));
  symlinkSync(outside(), inside("evil"));
  const swapper = Bun.spawn({
    cmd: [
      process.execPath,
      "-e",
      `const {renameat} = await import(${JSON.stringify(join(import.meta.dir, "at.ts"))});
       console.log("go"); for (;;) renameat(-100, ${JSON.stringify(inside("flip"))}, -100, ${JSON.stringify(inside("evil"))}, ${RENAME_EXCHANGE});`,
    ],
    stdout: "pipe",
  });
  await swapper.stdout.getReader().read();
  for (let i = 0; i < 3000; i++) {
    try {
      root.writeFile("flip/canary", Buffer.from("bad"), 0o644);
    } catch (error) {
      expect((error as { code?: string }).code).toBe("ENOENT");
    }
  }
  swapper.kill("SIGKILL");
  await swapper.exited;
  expect(readFileSync(join(outside(), "canary"), "utf8")).toBe("untouched");
});

test("reading is bounded", () => {
  root.writeFile("big", Buffer.alloc(5000), 0o644);
  expect(root.readFile("big", 5000).length).toBe(5000);
  expect(() => root.readFile("big", 4999)).toThrow();
});

test("a device or fifo in a file's place is not even opened", () => {
  root.mknod("null", S_IFCHR | 0o666, makedev(1, 3));
  root.mknod("pipe", S_IFIFO | 0o666);
  for (const path of ["null", "pipe"]) {
    expect(() => root.readFile(path, 10)).toThrow("invalid argument");
    expect(() => root.writeFile(path, Buffer.from("x"), 0o644)).toThrow("invalid argument");
  }
  symlinkSync("made", inside("dangling"));
  root.writeFile("dangling", Buffer.from("x"), 0o600);
  expect(readFileSync(inside("made"), "utf8")).toBe("x");
});
