import { expect, test } from "bun:test";
import { parseManifestReference, parseRepositoryName } from "./names.ts";
import { SpecError } from "./spec-error.ts";

const codeOf = (parse: () => unknown): string => {
  try {
    parse();
    return "fine";
  } catch (error) {
    return error instanceof SpecError ? error.specCode : String(error);
  }
};

test("names are those of the spec's grammar and no others", () => {
  for (const name of ["a", "a/b/c", "a.b_c__d-e--f/0", "library/busybox", "x".repeat(255)]) {
    expect(codeOf(() => parseRepositoryName(name))).toBe("fine");
  }
  const bad = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "A",
    "a..b",
    "a/../b",
    "..",
    ".",
    "a/.",
    "-a",
    "a-",
    "a___b",
    "_a",
    "a b",
    "a\0b",
    "a\n",
    "ä",
  ];
  for (const name of [...bad, "x".repeat(256)])
    expect([name, codeOf(() => parseRepositoryName(name))]).toEqual([name, "NAME_INVALID"]);
});

test("what has a colon can only be a digest, and a digest only one that is whole", () => {
  expect(parseManifestReference("v1.0_x-Y")).toEqual({ kind: "tag", tag: "v1.0_x-Y" as never });
  expect(parseManifestReference(`sha256:${"a".repeat(64)}`).kind).toBe("digest");
  for (const text of [
    "sha256:",
    `sha256:${"A".repeat(64)}`,
    `sha256:${"a".repeat(63)}`,
    `md5:${"a".repeat(32)}`,
    "a:b",
  ]) {
    expect(codeOf(() => parseManifestReference(text))).toBe("DIGEST_INVALID");
  }
  for (const text of ["", ".a", "-a", "a/b", "a b", "..", "x".repeat(129)]) {
    expect(codeOf(() => parseManifestReference(text))).toBe("TAG_INVALID");
  }
});
