import { expect, test } from "bun:test";
import { followLinks } from "./follow-links.ts";

const links: Readonly<Record<string, string>> = {
  abs: "/dir",
  "dir/up": "../../../etc",
  "dir/rel": "./file",
  loop: "loop",
  long: "a/../dir/rel",
};
const lead = (path: string) =>
  followLinks(path, (at) => (at.endsWith("missing") ? null : links[at]))?.join("/");

test("links are followed inside the tree, however they are written", () => {
  for (const [path, there] of [
    ["", ""],
    ["/", ""],
    ["dir//./file", "dir/file"],
    ["abs/rel", "dir/file"],
    ["abs/up/passwd", "etc/passwd"],
    ["../..", ""],
    ["long", "dir/file"],
  ] as const)
    expect(lead(path)).toBe(there);
});

test("a part that is missing leads nowhere, a circle is an error", () => {
  expect(lead("dir/missing/x")).toBeUndefined();
  expect(() => lead("loop")).toThrow("too many levels of symbolic links");
});
