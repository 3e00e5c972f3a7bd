import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryTree } from "./directory.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tug-directory-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const at = (name: Uint8Array) => Buffer.concat([Buffer.from(`${root}/`), name]);
const paths = (exclude: readonly string[] = []) => {
  const tree = directoryTree(root, { include: [], exclude, follow: [], owner: "root" });
  return [...tree.walk()].map((entry) => entry.path);
};
const bytes = Buffer.from([0x6e, 0xff, 0xfe]);

describe("what is not UTF-8", () => {
  test("is named instead of lost, unless it is left out", () => {
    writeFileSync(at(bytes), "x");
    writeFileSync(join(root, "a"), "x");
    expect(() => paths()).toThrow('"n\ufffd\ufffd" has a name that is not UTF-8');
    expect(paths(["n*"])).toEqual(["a"]);
  });

  test("is no target of a link, but what it is shown as may be a name", () => {
    writeFileSync(join(root, "\ufffd"), "x");
    symlinkSync("\ufffd", join(root, "good"));
    expect(paths()).toEqual(["good", "\ufffd"]);
    symlinkSync(bytes, join(root, "link"));
    expect(() => paths()).toThrow('"link" is a symbolic link with a target that is not UTF-8');
  });
});
