import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EntryReader } from "./lstat.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tug-lstat-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("an entry's facts", () => {
  test("are those that lstat gives, to the nanosecond and past 4 GiB", () => {
    const make: Record<string, (path: string) => void> = {
      file: (path) => writeFileSync(path, "x"),
      large: (path) => {
        closeSync(openSync(path, "w"));
        truncateSync(path, 5 * 2 ** 30 + 7);
      },
      "name-ü-\u{10000}": (path) => writeFileSync(path, ""),
      directory: (path) => mkdirSync(path, { mode: 0o1750 }),
      link: (path) => {
        symlinkSync("nowhere", path);
        lutimesSync(path, 1, 1_234_567_890.123456);
      },
      second: (path) => linkSync(join(root, "file"), path),
      before: (path) => {
        writeFileSync(path, "");
        utimesSync(path, -5, -5.25);
      },
    };
    const reader = new EntryReader();
    for (const [name, create] of Object.entries(make)) create(join(root, name));
    for (const path of [
      ...Object.keys(make).map((name) => join(root, name)),
      "/dev/null",
      "/proc/self/exe",
    ]) {
      const stat = lstatSync(path, { bigint: true });
      const facts = reader.read(path);
      expect({ path, ...facts, inode: facts?.inode.split(":").length }).toEqual({
        path,
        mode: Number(stat.mode),
        uid: Number(stat.uid),
        gid: Number(stat.gid),
        size: Number(stat.size),
        nlink: Number(stat.nlink),
        mtime: stat.mtimeNs,
        rdevMajor: path === "/dev/null" ? 1 : 0,
        rdevMinor: path === "/dev/null" ? 3 : 0,
        inode: stat.nlink > 1n ? 4 : 1,
      });
    }
    linkSync(join(root, "large"), join(root, "other"));
    const inodes = ["file", "second", "large"].map((name) => reader.read(join(root, name))?.inode);
    expect(inodes[0]).toBe(inodes[1] ?? "");
    expect(inodes[0]).not.toBe(inodes[2] ?? "");
  });

  test("of what is not there are none, and what cannot be asked says why", () => {
    const reader = new EntryReader();
    writeFileSync(join(root, "plain"), "");
    expect(reader.read(join(root, "nothing"))).toBeUndefined();
    expect(() => reader.read(join(root, "plain/below"))).toThrow("not a directory");
    expect(() => reader.read(`/${"x".repeat(300)}`)).toThrow("file name too long");
    expect(() => reader.read(`/${"x/".repeat(3000)}`)).toThrow("file name too long");
    const deep = join(root, "d".repeat(200), "ü".repeat(100));
    mkdirSync(deep, { recursive: true });
    let path = deep;
    for (let i = 0; i < 8; i++) path += `/../${"ü".repeat(100)}`;
    expect(reader.read(path)?.mode).toBe(lstatSync(deep).mode);
  });
});
