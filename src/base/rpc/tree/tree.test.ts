import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Packet, Packet_PacketType as Type } from "../../spec/buildkit/fsutil.gen.ts";
import type { RpcStream } from "../stream.ts";
import { directoryTree, type TreeFilter } from "./directory.ts";
import { fileType, fromGoMode, type TreeEntry, toGoMode, toStat, WalkOrder } from "./entry.ts";
import { followLinks } from "./follow.ts";
import { receiveTree } from "./receive.ts";
import { sendTree } from "./send.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tug-tree-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function files(...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), `content of ${path}`);
  }
}

const walk = (filter: Partial<TreeFilter> = {}) => [
  ...directoryTree(root, { include: [], exclude: [], follow: [], owner: "root", ...filter }).walk(),
];
const paths = (filter: Partial<TreeFilter> = {}) => walk(filter).map((entry) => entry.path);

const regular = (path: string, fields: Partial<TreeEntry> = {}): TreeEntry => ({
  path,
  mode: fileType.regular | 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  linkname: "",
  devmajor: 0,
  devminor: 0,
  xattrs: {},
  ...fields,
});
const directory = (path: string) => regular(path, { mode: fileType.directory | 0o755 });

describe("a tree that is sent", () => {
  test("comes parents first, siblings by the bytes of their names", () => {
    files("b/x", "b-c", "b.c", "a", "\u{10000}", "\uffee");
    expect(paths()).toEqual(["a", "b", "b/x", "b-c", "b.c", "\uffee", "\u{10000}"].sort(byBytes));
    expect(() => {
      const order = new WalkOrder();
      for (const entry of walk()) order.check(entry);
    }).not.toThrow();
  });

  test("holds what is included and not excluded, with the directories above it", () => {
    files("src/a.c", "src/a.o", "src/deep/b.c", "doc/x", "README");
    expect(paths({ include: ["src/deep", "README"] })).toEqual(["README", "src", "src/deep", "src/deep/b.c"]);
    expect(paths({ exclude: ["src", "!src/deep/b.c", "doc"] })).toEqual([
      "README",
      "src",
      "src/deep",
      "src/deep/b.c",
    ]);
    expect(paths({ include: ["**/*.c"], exclude: ["src/deep"] })).toEqual(["src", "src/a.c"]);
  });

  test("names hard links by their first name that is sent", () => {
    files("a/first");
    linkSync(join(root, "a/first"), join(root, "b"));
    expect(walk().map(({ path, linkname }) => [path, linkname])).toEqual([
      ["a", ""],
      ["a/first", ""],
      ["b", "a/first"],
    ]);
    expect(walk({ exclude: ["a"] }).map(({ path, linkname }) => [path, linkname])).toEqual([["b", ""]]);
  });

  test("follows links on the way to what is asked for, and never out of the root", () => {
    files("real/deep/file", "other");
    symlinkSync("real", join(root, "alias"));
    symlinkSync("/other", join(root, "real/deep/absolute"));
    symlinkSync("../../../../../etc/passwd", join(root, "up"));
    symlinkSync("loop-b", join(root, "loop-a"));
    symlinkSync("loop-a", join(root, "loop-b"));
    expect(followLinks(root, ["alias/deep/file"])).toEqual(["alias", "real/deep/file"]);
    expect(followLinks(root, ["real/deep/abs*"])).toEqual(["other", "real/deep/abs*"]);
    expect(followLinks(root, ["up"])).toEqual(["etc/passwd", "up"]);
    expect(followLinks(root, ["loop-a"])).toEqual(["loop-a", "loop-b"]);
    symlinkSync(".", join(root, "self"));
    expect(followLinks(root, ["self"])).toBeUndefined();
    expect(paths({ follow: ["alias/deep/file"] })).toEqual(["alias", "real", "real/deep", "real/deep/file"]);
  });
});

const byBytes = (a: string, b: string) => {
  const key = (path: string) => Buffer.from(path.replaceAll("/", "\0"));
  return Buffer.compare(key(a), key(b));
};

describe("modes", () => {
  test("of every type and with special bits go to Go's and back", () => {
    for (const type of Object.values(fileType).filter((value) => value !== fileType.mask)) {
      for (const bits of [0, 0o644, 0o4755, 0o2711, 0o1777, 0o7777])
        expect(fromGoMode(toGoMode(type | bits))).toBe(type | bits);
    }
    // As Go has them: os.ModeDir|0755, os.ModeSymlink|0777, os.ModeSetuid|0755.
    expect(toGoMode(0o040755)).toBe(0x8000_01ed);
    expect(toGoMode(0o120777)).toBe(0x0800_01ff);
    expect(toGoMode(0o104755)).toBe(0x0080_01ed);
  });
});

describe("a sender that does harm", () => {
  test("is refused paths that lead away, come twice, out of order or without their directory", () => {
    const refused = (...entries: readonly TreeEntry[]) =>
      expect(() => {
        const order = new WalkOrder();
        for (const entry of entries) order.check(entry);
      });
    for (const path of ["", "..", "../x", "/etc", "a/", "./a", "a\0b", "x".repeat(5000)])
      refused(regular(path)).toThrow();
    refused(directory("a"), regular("a/..")).toThrow("invalid path");
    refused(regular("a/b")).toThrow("came without its directory");
    refused(regular("a"), regular("a/b")).toThrow("came without its directory");
    refused(regular("b"), regular("a")).toThrow("came out of order");
    refused(regular("a"), regular("a")).toThrow("came out of order");
    // A link that takes the place of a directory in which more would be written.
    refused(regular("a", { mode: fileType.symlink | 0o777, linkname: "/etc" }), regular("a/b")).toThrow(
      "came without its directory",
    );
    refused(regular("a", { linkname: "/etc/shadow" })).toThrow("which did not come before it");
    refused(regular("a"), regular("b", { linkname: "a" })).not.toThrow();
  });

  test("is refused content that nobody asked for, and an early end", async () => {
    const none = { entry: () => false, content: async () => undefined, finish: async () => undefined };
    const data = packet({ type: Type.DATA, id: 0, data: Buffer.from("x") });
    await expect(receiveTree(scripted([packet({ stat: toStat(regular("a")) }), data]), none)).rejects.toThrow(
      "invalid file request 0",
    );
    await expect(receiveTree(scripted([packet({ type: Type.FIN })]), none)).rejects.toThrow(
      "ended the transfer early",
    );
    await expect(receiveTree(scripted([]), none)).rejects.toThrow("ended the transfer early");
    const told = packet({ type: Type.ERR, data: Buffer.from("disk on fire") });
    await expect(receiveTree(scripted([told]), none)).rejects.toThrow("error from sender: disk on fire");
  });

  test("of requests: an id that names no file ends the transfer", async () => {
    files("a");
    const tree = directoryTree(root, { include: [], exclude: [], follow: [], owner: "root" });
    await expect(sendTree(scripted([packet({ type: Type.REQ, id: 7 })]), tree)).rejects.toThrow(
      "invalid file id 7",
    );
  });
});

const packet = (fields: Partial<Packet>): Packet => ({
  type: Type.STAT,
  stat: undefined,
  id: 0,
  data: new Uint8Array(0),
  ...fields,
});

/** A peer that says these packets and nothing more. */
function scripted(packets: readonly Packet[]): RpcStream<Packet, Packet> {
  const left = [...packets];
  return {
    next: async () => left.shift(),
    send: async () => undefined,
    signal: new AbortController().signal,
    received: 0,
  };
}
