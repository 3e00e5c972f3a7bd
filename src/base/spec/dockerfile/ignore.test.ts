import { describe, expect, test } from "bun:test";
import { randomNumbers } from "../../lib/testdata/random-numbers.ts";
import { Glob } from "./glob.ts";
import { cleanPath, PatternList, readIgnoreFile } from "./ignore.ts";

test("An ignore file gives its patterns clean and in order", () => {
  expect(
    readIgnoreFile("\ufeff# comment\n\n /a/b/ \r\n!  /keep \n./c/../d\n  # not a comment\n*.log\n!\n/\n"),
  ).toEqual(["a/b", "!keep", "d", "# not a comment", "*.log", "!", "/"]);
});

test("Paths are cleaned as text", () => {
  for (const [path, clean] of [
    ["", "."],
    ["a//b/./c/", "a/b/c"],
    ["/../a", "/a"],
    ["../../a/..", "../.."],
    ["a/../..", ".."],
    ["/", "/"],
  ] as const)
    expect(cleanPath(path)).toBe(clean);
});

/** Cases of how moby's matcher behaves, by what each of its documents promises. */
const cases: readonly (readonly [patterns: string, path: string, matched: boolean])[] = [
  ["**", "file", true],
  ["**", "dir/file", true],
  ["**/", "file", true],
  ["**/**", "dir/file", true],
  ["dir/**", "dir/file", true],
  ["dir/**", "dir/dir2/file", true],
  ["dir/**", "dir", false],
  ["dir/**", "directory/file", false],
  ["**/dir2/*", "dir/dir2/file", true],
  ["**/dir2/*", "dir/dir2/dir2/file", true],
  ["**file", "dir/file", true],
  ["**file", "dir/dir/thefile", true],
  ["**/file", "file", true],
  ["**/file", "dir/thefile", false],
  ["**file*", "dir/file.txt", true],
  ["**/*file", "dir/dir/thefile", true],
  ["a**/*.txt", "a/dir/file.txt", true],
  ["a**/*.txt", "a/file.txt", true],
  ["a**/*.txt", "afile.txt", true],
  ["a/**/b", "a/b", true],
  ["a/**/b", "a/x/y/b", true],
  ["a/**/b", "ab", false],
  ["*.go", "dir/x.go", false],
  ["*.go", "x.go", true],
  ["**/*.go", "x/y/z.go", true],
  ["a[b-d]e", "ace", true],
  ["a[^b-d]e", "ace", false],
  ["a\\*b", "a*b", true],
  ["a\\*b", "axb", false],
  ["?", "é", true],
  ["?", "😀", true],
  ["dir", "dir/any/thing", true],
  ["*/any", "dir/any/thing", true],
  [".", "x", false],
  ["docs !docs/README.md", "docs/README.md", false],
  ["docs !docs/README.md", "docs/other", true],
  ["!docs/README.md docs", "docs/README.md", true],
  ["* !src src/*.log", "src/a.log", true],
  ["* !src src/*.log", "src/a.ts", false],
  ["a.c", "abc", false],
  ["a$ b(c", "b(c", true],
  ["x/ ", "x/y", true],
  ["/x", "x", false],
];

describe("Patterns of an ignore list", () => {
  for (const [patterns, path, matched] of cases)
    test(`[${patterns}] ${matched ? "takes" : "leaves"} ${path}`, () => {
      const list = new PatternList(patterns.split(" "));
      expect(list.matches(path)).toBe(matched);
      expect(walk(list, path)).toBe(matched);
    });

  test("say where an excluded directory must be walked for an exception", () => {
    const list = new PatternList(["*", "!a/b/*.ts", "!x**"]);
    expect(list.hasExceptions).toBe(true);
    expect(["a", "a/b", "a/c", "xy", "z"].map((one) => list.mayExceptBelow(one))).toEqual([
      true,
      true,
      false,
      true,
      false,
    ]);
  });

  test("say where a directory that is not included may hold something that is", () => {
    const list = new PatternList(["src/*/main.c", "docs"]);
    expect(["src", "src/a", "lib", "do", "src/a/b"].map((one) => list.mayMatchBelow(one))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test("that are none are refused", () => {
    for (const bad of ["[", "a[", "[]a]", "[-]", "[x-]", "a\\", "[^]"])
      expect(() => new PatternList([bad])).toThrow("syntax error in pattern");
    expect(() => new PatternList(["!"])).toThrow('illegal exclusion pattern: "!"');
  });
});

/** Judged directory by directory, as a walk does. */
function walk(list: PatternList, path: string): boolean {
  let parent: readonly boolean[] | undefined;
  let matched = false;
  const parts = path.split("/");
  parts.forEach((_, index) => {
    const step = list.matchBelow(parts.slice(0, index + 1).join("/"), parent);
    parent = step.below;
    matched = step.matched;
  });
  return matched;
}

/** The same meaning as a regular expression, which may take its time. */
function asRegExp(pattern: string): RegExp {
  const source = pattern.replace(/\*\*\/?$|\*\*\/?|\*|\?|[.ab/]/g, (part, at: number) => {
    if (part.startsWith("**")) return at + part.length === pattern.length ? "[^]*" : "(?:[^]*/)?";
    if (part === "*") return "[^/]*";
    return part === "?" ? "[^/]" : `\\${part}`.replace(/\\([ab])/, "$1");
  });
  return new RegExp(`^(?:${source})$`);
}

test("Patterns made at random mean what their regular expression means", () => {
  const random = randomNumbers(20);
  const pick = (from: readonly string[], length: number) =>
    Array.from({ length: Math.ceil(random() * length) }, () => from[Math.floor(random() * from.length)]).join(
      "",
    );
  for (let round = 0; round < 2000; round++) {
    const pattern = pick(["a", "b", "/", "*", "**", "?", ".", "**/"], 8);
    if (/^\*\*[^/*]/.test(pattern)) continue; // moby's own rule: see the table above
    const glob = new Glob(pattern, "deep");
    const expression = asRegExp(pattern);
    for (let i = 0; i < 5; i++) {
      const path = pick(["a", "b", "/", "."], 10);
      if (glob.matches(path) !== expression.test(path))
        throw new Error(`${pattern} and ${path}: ${!expression.test(path)} instead of ${expression}`);
      if (glob.matches(path) && !glob.canMatchFrom(path.slice(0, Math.floor(random() * path.length))))
        throw new Error(`${pattern} matches ${path} but says that it cannot`);
    }
  }
}, 60_000);

test("No pattern takes more than the product of the lengths", () => {
  const began = performance.now();
  const path = `${"a/".repeat(2000)}b`;
  for (const pattern of [
    `${"**/".repeat(200_000)}x`,
    `${"*".repeat(500_000)}x`,
    `${"**/a/".repeat(1000)}x`,
    `${"*a*/".repeat(1000)}x`,
    `${"***/".repeat(100_000)}x`,
    `a${"?".repeat(500_000)}`,
  ])
    expect(new PatternList([pattern]).matches(path)).toBe(false);
  // Backtracking would take longer than the universe has; this is a bound against that, not a measure.
  expect(performance.now() - began).toBeLessThan(60_000);
}, 90_000);
