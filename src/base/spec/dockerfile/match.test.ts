import { expect, test } from "bun:test";
import { compilePathPattern, hasWildcard, matchPath, unescapePattern } from "./match.ts";

test("A wildcard is one unless a backslash stands before it", () => {
  expect(["a*", "a?", "[a]", "a\\*", "\\[a]", "\\\\*", "a]b", "", "*"].map(hasWildcard)).toEqual([
    ...[true, true, true, false, false, true, false, false, true],
  ]);
  expect(unescapePattern("a\\*\\\\b")).toBe("a*\\b");
});

test("A pattern is cut at its slashes behind the part without wildcards", () => {
  const pattern = compilePathPattern("src/a\\*b/*/x?.[ch]");
  expect(pattern.base).toBe("src/a*b");
  expect(pattern.components.map((test) => ["dir", "x1.c", "x1.h", "x.c"].map(test))).toEqual([
    [true, true, true, true],
    [false, true, true, false],
  ]);
  expect(compilePathPattern("a/b")).toEqual({ base: "a/b", components: [] });
  expect(compilePathPattern("*").base).toBe("");
});

test("Go's filepath.Match is what decides", () => {
  for (const [pattern, path, matched] of [
    ["abc", "abc", true],
    ["*", "abc", true],
    ["*c", "abc", true],
    ["a*", "ab/c", false],
    ["a*/b", "abc/b", true],
    ["a*b*c*d*e*/f", "axbxcxdxe/f", true],
    ["a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false],
    ["a*b?c*x", "abxbbxdbxebxczzx", true],
    ["ab[c]", "abc", true],
    ["ab[b-d]", "abc", true],
    ["ab[^e-g]", "abc", true],
    ["a\\*b", "ab", false],
    ["a?b", "a☺b", true],
    ["a[^a]b", "a☺b", true],
    ["[a-ζ]*", "α", true],
    ["*[a-ζ]", "A", false],
    ["a?b", "a/b", false],
    ["[\\]a]", "]", true],
    ["[\\-x]", "-", true],
    ["[x\\-]", "z", false],
    ["**", "a/b", false],
    ["*x", "xxx", true],
  ] as const)
    expect([pattern, path, matchPath(pattern, path)]).toEqual([pattern, path, matched]);
  for (const bad of ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "a["])
    expect(() => matchPath(bad, "a")).toThrow("syntax error in pattern");
});
