import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { statFileSystem } from "../statfs.ts";
import { mountSpec, splitOptions, unmountIfMounted } from "./mount.ts";
import { mountOf, parseMountInfo, readMountInfo } from "./mountinfo.ts";

let base = "";
const at = (...parts: string[]) => join(base, ...parts);

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "mount-"));
  mkdirSync(at("target"));
});
afterEach(() => {
  unmountIfMounted(at("target"));
  rmSync(base, { recursive: true, force: true });
});

function overlay(depth: number, nameLength: number) {
  const lowers = Array.from({ length: depth }, (_, i) => at(`${i}-${"x".repeat(nameLength)}`));
  for (const [i, lower] of lowers.entries()) {
    mkdirSync(lower);
    writeFileSync(join(lower, `file${i}`), "");
  }
  for (const dir of ["upper", "work"]) mkdirSync(at(dir), { recursive: true });
  return {
    type: "overlay",
    source: "overlay",
    options: [`lowerdir=${lowers.join(":")}`, `upperdir=${at("upper")}`, `workdir=${at("work")}`],
  };
}

test("an overlay of a few layers is mounted, found in mountinfo, and taken away", () => {
  mountSpec(overlay(3, 5), at("target"));
  expect(readdirSync(at("target")).sort()).toEqual(["file0", "file1", "file2"]);
  const info = mountOf(readMountInfo(), at("target", "deep"));
  expect([info?.mountpoint, info?.type]).toEqual([at("target"), "overlay"]);
  expect(statFileSystem(at("target")).name).toBe("overlayfs");
  expect(unmountIfMounted(at("target"))).toBe(true);
  expect(unmountIfMounted(at("target"))).toBe(false);
  expect(unmountIfMounted(at("nowhere"))).toBe(false);
});

test("overlay data far longer than a page still mounts", () => {
  mountSpec(overlay(120, 100), at("target"));
  expect(readdirSync(at("target")).length).toBe(120);
  writeFileSync(at("target", "new"), "");
  expect(existsSync(at("upper", "new"))).toBe(true);
});

test("overlay data longer than a page with paths too long for fsconfig still mounts", () => {
  mountSpec(overlay(60, 250), at("target"));
  expect(readdirSync(at("target")).length).toBe(60);
});

test("a read-only bind mount refuses writes", () => {
  mkdirSync(at("source"));
  mountSpec({ type: "bind", source: at("source"), options: ["ro", "nosuid", "rprivate"] }, at("target"));
  expect(() => writeFileSync(at("target", "x"), "")).toThrow("EROFS");
  const info = mountOf(readMountInfo(), at("target"));
  expect(info?.options).toContain("nosuid");
});

test("a busy mount is detached", () => {
  mountSpec({ type: "tmpfs", source: "tmpfs", options: ["size=64k", "noexec"] }, at("target"));
  const fd = require("node:fs").openSync(at("target"), "r");
  expect(unmountIfMounted(at("target"))).toBe(true);
  require("node:fs").closeSync(fd);
  expect(mountOf(readMountInfo(), at("target"))?.mountpoint).not.toBe(at("target"));
});

test("a mount that cannot be made says so with its errno", () => {
  expect(() => mountSpec({ type: "nosuchfs", source: "x", options: [] }, at("target"))).toThrow(
    "no such device",
  );
});

test("option words are told apart", () => {
  expect(splitOptions(["ro", "rw", "rbind", "rslave", "size=1m"])).toEqual({
    flags: 4096 | 16384,
    propagation: [(1 << 19) | 16384],
    data: ["size=1m"],
  });
});

test("mountinfo escapes and optional fields are read", () => {
  const text =
    "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\nrubbish\n";
  expect(parseMountInfo(text)).toEqual([
    {
      id: 36,
      parent: 35,
      device: "98:0",
      root: "/mnt1",
      mountpoint: "/mnt 2",
      options: ["rw", "noatime"],
      optional: ["master:1", "shared:7"],
      type: "ext3",
      source: "/dev/root",
      superOptions: ["rw", "errors=continue"],
    },
  ]);
});
