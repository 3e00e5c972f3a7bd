import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AT_FDCWD,
  chmodat,
  closeFd,
  lchownat,
  lutimesat,
  makedev,
  mknodat,
  O,
  openat,
  S_IFCHR,
} from "./at.ts";
import { copyFile, copyFileInSteps, copySpecial, dressAs } from "./copy-node.ts";
import { lstatat } from "./stat.ts";
import { getXattr, listXattrs, setXattr } from "./xattr.ts";

let base = "";
let from = -1;
let to = -1;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "copy-node-"));
  for (const name of ["from", "to"]) mkdirSync(join(base, name));
  from = openat(AT_FDCWD, join(base, "from"), O.RDONLY | O.DIRECTORY);
  to = openat(AT_FDCWD, join(base, "to"), O.RDONLY | O.DIRECTORY);
});
afterEach(() => {
  closeFd(from);
  closeFd(to);
  rmSync(base, { recursive: true, force: true });
});

/** What a copy has to have of its source. */
function look(dir: number, name: string) {
  const { kind, mode, uid, gid, atime, mtime, size, rdevMajor, rdevMinor } = lstatat(dir, name);
  return { kind, mode, uid, gid, atime, mtime, size, rdevMajor, rdevMinor };
}

/** vfs_ns_cap_data of revision 2 with cap_net_bind_service (include/uapi/linux/capability.h). */
const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");

test("a file keeps owner, mode with its set-id bits, times, attributes and capabilities, but not what steers overlay", () => {
  writeFileSync(join(base, "from/f"), "content");
  lchownat(from, "f", 5, 6);
  chmodat(from, "f", 0o6755);
  setXattr(from, "f", "security.capability", capability);
  setXattr(from, "f", "user.note", Buffer.from("hi"));
  setXattr(from, "f", "trusted.overlay.origin", Buffer.from("x"));
  lutimesat(from, "f", { atime: 1_000_000_001n, mtime: 2_000_000_002n });
  const source = look(from, "f");
  copyFile(from, "f", to, "copy", lstatat(from, "f"));
  expect(look(to, "copy")).toEqual(source);
  expect(source.mode & 0o7777).toBe(0o6755);
  expect(readFileSync(join(base, "to/copy"), "utf8")).toBe("content");
  expect(listXattrs(to, "copy").sort()).toEqual(["security.capability", "user.note"]);
  expect(getXattr(to, "copy", "security.capability")).toEqual(capability);
});

test("a file of holes stays one, whatever size it claims", async () => {
  const size = 2 ** 40;
  const file = await open(join(base, "from/f"), "w");
  await file.write("start", 0);
  await file.write("middle", 2 ** 30);
  await file.close();
  truncateSync(join(base, "from/f"), size);
  copyFile(from, "f", to, "f", lstatat(from, "f"));
  const copy = lstatat(to, "f");
  expect(copy.size).toBe(size);
  expect(copy.allocated).toBeLessThan(1 << 20);
  const read = await open(join(base, "to/f"));
  const piece = await read.read({ buffer: Buffer.alloc(6), position: 2 ** 30 });
  await read.close();
  expect(piece.buffer.toString()).toBe("middle");
});

test("a large file gives way after each step, and one that is left midway is closed", () => {
  const content = Buffer.alloc(3000, "abc");
  writeFileSync(join(base, "from/f"), content);
  let steps = 0;
  for (const _ of copyFileInSteps(from, "f", to, "f", lstatat(from, "f"), 1000)) steps++;
  expect(steps).toBe(3);
  expect(readFileSync(join(base, "to/f"))).toEqual(content);
  const left = copyFileInSteps(from, "f", to, "left", lstatat(from, "f"), 1000);
  left.next();
  const inUse = openat(AT_FDCWD, "/dev/null", O.RDONLY);
  left.return();
  const after = openat(AT_FDCWD, "/dev/null", O.RDONLY);
  expect(after).toBeLessThan(inUse);
  closeFd(inUse);
  closeFd(after);
});

test("a file that came to be a link meanwhile is refused, and nothing is written over", () => {
  writeFileSync(join(base, "from/f"), "1");
  const stat = lstatat(from, "f");
  writeFileSync(join(base, "to/there"), "2");
  expect(() => copyFile(from, "f", to, "there", stat)).toThrow("file exists");
  rmSync(join(base, "from/f"));
  symlinkSync("/etc/passwd", join(base, "from/f"));
  expect(() => copyFile(from, "f", to, "new", stat)).toThrow("too many");
  expect(readFileSync(join(base, "to/there"), "utf8")).toBe("2");
});

test("links and devices are made again as they are, or with another look", () => {
  symlinkSync("/nowhere", join(base, "from/link"));
  lchownat(from, "link", 7, 8);
  mknodat(from, "null", S_IFCHR | 0o600, makedev(1, 3));
  chmodat(from, "null", 0o666);
  for (const name of ["link", "null"]) {
    lutimesat(from, name, { atime: 1n, mtime: 2n });
    const source = look(from, name);
    const { linkTarget } = copySpecial(from, name, to, name, lstatat(from, name));
    // Reading a link's target sets its time of access, as the file system's options have it.
    expect({ ...look(to, name), atime: 1n }).toEqual({ ...source, atime: 1n });
    expect(linkTarget).toBe(name === "link" ? "/nowhere" : undefined);
  }
  const other = { uid: 1, gid: 2, mode: 0o640, atime: 3n, mtime: 4n };
  copySpecial(from, "null", to, "other", lstatat(from, "null"), other);
  expect(look(to, "other")).toMatchObject({ ...other, kind: "char", mode: S_IFCHR | 0o640, rdevMinor: 3 });
});

test("a directory is made to look as another", () => {
  setXattr(from, "", "user.note", Buffer.from("hi"));
  const wanted = { uid: 3, gid: 4, mode: 0o1770, atime: 5n, mtime: 6n };
  dressAs(from, to, wanted);
  const { uid, gid, mode, atime, mtime } = lstatat(to);
  expect({ uid, gid, mode: mode & 0o7777, atime, mtime }).toEqual(wanted);
  expect(getXattr(to, "", "user.note")?.toString()).toBe("hi");
});
