import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";
import { extractTree } from "./extract.ts";
import { packTree } from "./pack.ts";
import { absolute, localDestination, localSource, planCopy, splitOperand, splitPath } from "./paths.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-copy-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, ...names);
const archive = async function* (...members: (NewTarEntry & { data?: string })[]) {
  for (const { data = "", ...member } of members) {
    yield tarHeader({ ...member, size: data.length });
    if (member.kind === "file") yield Buffer.from(data);
    yield tarPadding(data.length);
  }
  yield tarTrailer;
};
const same = (name: string) => name;

test("a tree survives the way out and in: modes, times, links, names", async () => {
  mkdirSync(at("src", "deep", "empty"), { recursive: true });
  writeFileSync(at("src", "a ä.txt"), "hello");
  writeFileSync(at("src", "deep", "big"), Buffer.alloc(3_000_000, 7));
  chmodSync(at("src", "deep", "big"), 0o4751);
  linkSync(at("src", "a ä.txt"), at("src", "deep", "hard"));
  symlinkSync("../nowhere", at("src", "deep", "soft"));
  utimesSync(at("src", "a ä.txt"), 1000, 1234567);
  utimesSync(at("src", "deep"), 1000, 7654321);
  mkdirSync(at("dst"));
  await extractTree(packTree(at("src"), "src"), at("dst"), (name) => name.replace(/^src/, "renamed"));
  const out = (...names: string[]) => at("dst", "renamed", ...names);
  expect(readFileSync(out("a ä.txt"), "utf8")).toBe("hello");
  expect(statSync(out("a ä.txt")).mtimeMs).toBe(1234567000);
  expect(statSync(out("deep")).mtimeMs).toBe(7654321000);
  expect(statSync(out("deep", "big")).size).toBe(3_000_000);
  expect(statSync(out("deep", "big")).mode & 0o7777).toBe(0o4751);
  expect(statSync(out("deep", "hard")).ino).toBe(statSync(out("a ä.txt")).ino);
  expect(readlinkSync(out("deep", "soft"))).toBe("../nowhere");
  expect(lstatSync(out("deep", "empty")).isDirectory()).toBe(true);
});

describe("an archive that wants out of its folder", () => {
  const extract = (...members: (NewTarEntry & { data?: string })[]) =>
    extractTree(archive(...members), at("dst"), same);
  beforeEach(() => mkdirSync(at("dst")));

  test("through its own symbolic link is refused", async () => {
    const evil = extract(
      { path: "l", kind: "symlink", linkPath: folder },
      { path: "l/owned", kind: "file", data: "x" },
    );
    await expect(evil).rejects.toThrow("refusing to write through");
    expect(existsSync(at("owned"))).toBe(false);
  });

  test("through a folder that it replaces by a link is refused", async () => {
    const evil = extract({ path: "d", kind: "directory" }, { path: "d", kind: "symlink", linkPath: folder });
    await expect(evil).rejects.toThrow("cannot overwrite directory");
  });

  test("by dots is refused", async () => {
    await expect(extract({ path: "../owned", kind: "file", data: "x" })).rejects.toThrow(
      "invalid name in archive",
    );
    await expect(extract({ path: "a", kind: "link", linkPath: "../../etc/passwd" })).rejects.toThrow(
      "invalid name in archive",
    );
    expect(existsSync(at("owned"))).toBe(false);
  });

  test("by an absolute name stays inside", async () => {
    await extract({ path: "/etc/x", kind: "file", data: "x" });
    expect(readFileSync(at("dst", "etc", "x"), "utf8")).toBe("x");
  });

  test("by a hard link over its symbolic link is refused", async () => {
    const evil = extract(
      { path: "l", kind: "symlink", linkPath: folder },
      { path: "h", kind: "link", linkPath: "l/secret" },
    );
    writeFileSync(at("secret"), "s");
    await expect(evil).rejects.toThrow("refusing to write through");
  });

  test("an existing file is replaced, not written into, and kinds do not overwrite each other", async () => {
    writeFileSync(at("precious"), "keep");
    linkSync(at("precious"), at("dst", "f"));
    await extract({ path: "f", kind: "file", data: "new" });
    expect(readFileSync(at("precious"), "utf8")).toBe("keep");
    await expect(extract({ path: "f", kind: "directory" })).rejects.toThrow("cannot overwrite non-directory");
  });

  test("a truncated archive is an error", async () => {
    const cut = async function* () {
      yield tarHeader({ path: "f", kind: "file", size: 1000 });
      yield Buffer.alloc(10);
    };
    await expect(extractTree(cut(), at("dst"), same)).rejects.toThrow("unexpected EOF");
  });
});

describe("where a copy goes (Docker's table)", () => {
  const file = { base: "f", isDirectory: false };
  const tree = { base: "d", isDirectory: true };
  test("a file to a new name, onto a file, into a folder", () => {
    writeFileSync(at("old"), "");
    expect(planCopy(file, localDestination(at("new")))).toEqual({ folder, base: "new" });
    expect(planCopy(file, localDestination(at("old")))).toEqual({ folder, base: "old" });
    expect(planCopy(file, localDestination(folder))).toEqual({ folder, base: "f" });
  });
  test("a file to a new name that ends in a slash is refused", () => {
    expect(() => planCopy(file, localDestination(`${at("new")}/`))).toThrow("no such directory");
  });
  test("a folder becomes the new name, goes into a folder, and never onto a file", () => {
    writeFileSync(at("old"), "");
    expect(planCopy(tree, localDestination(at("new")))).toEqual({ folder, base: "new" });
    expect(planCopy(tree, localDestination(folder))).toEqual({ folder, base: "d" });
    expect(() => planCopy(tree, localDestination(at("old")))).toThrow("cannot copy directory");
  });
  test("/. means the content", () => {
    mkdirSync(at("d"));
    expect(localSource(absolute(`${at("d")}/.`), false)).toEqual({
      path: at("d"),
      base: ".",
      isDirectory: true,
    });
    expect(splitPath("/a/b/.")).toEqual({ folder: "/a/b", base: "." });
    expect(splitPath("/a/b/")).toEqual({ folder: "/a", base: "b" });
  });
  test("links are copied as links, and followed on request and at the destination", () => {
    mkdirSync(at("d"));
    symlinkSync("d", at("l"));
    expect(localSource(at("l"), false)).toMatchObject({ path: at("l"), isDirectory: false });
    expect(localSource(at("l"), true)).toMatchObject({ path: at("d"), base: "l", isDirectory: true });
    expect(localDestination(at("l"))).toEqual({ path: at("d"), exists: true, isDirectory: true });
  });
  test("no file takes the place of a device, as it would of any other file", () => {
    symlinkSync("/dev/null", at("to-null"));
    for (const path of ["/dev/null", at("to-null")]) {
      expect(() => localDestination(path)).toThrow(
        `invalid output path: "${path}" must be a directory or a regular file: got a device`,
      );
    }
  });
  test("operands with a colon name a container unless they are paths", () => {
    expect(splitOperand("c:/x")).toEqual({ container: "c", path: "/x" });
    expect(splitOperand("./c:x").container).toBe("");
    expect(splitOperand("/c:x").container).toBe("");
    expect(splitOperand("-")).toEqual({ container: "", path: "-" });
  });
});
