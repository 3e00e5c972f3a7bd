import { describe, expect, test } from "bun:test";
import { codeOf, messageOf } from "../../lib/errors.ts";
import { familiarName, familiarString, parseDigest, parseReference, withDefaultTag } from "./reference.ts";

const hex = "a".repeat(64);
const error = (text: string) => {
  try {
    parseReference(text);
  } catch (thrown) {
    expect(codeOf(thrown)).toBe("invalid-argument");
    return messageOf(thrown);
  }
  return "";
};

describe("references", () => {
  test("short names are Docker Hub's, and a first component with a dot, a port or localhost is a domain", () => {
    const split = (text: string) => {
      const { domain, path, tag } = parseReference(text);
      return [domain, path, tag];
    };
    expect(split("busybox")).toEqual(["docker.io", "library/busybox", undefined]);
    expect(split("user/app:1.0")).toEqual(["docker.io", "user/app", "1.0"]);
    expect(split("docker.io/busybox")).toEqual(["docker.io", "library/busybox", undefined]);
    expect(split("index.docker.io/a/b")).toEqual(["docker.io", "a/b", undefined]);
    expect(split("localhost/app")).toEqual(["localhost", "app", undefined]);
    expect(split("localhost:5000/team/app:x")).toEqual(["localhost:5000", "team/app", "x"]);
    expect(split("localhost:5000")).toEqual(["docker.io", "library/localhost", "5000"]);
    expect(split("[::1]:5000/app")).toEqual(["[::1]:5000", "app", undefined]);
    expect(split("Upper/app")).toEqual(["Upper", "app", undefined]);
    expect(split("a.b/c__d/e---f:T_g-1.2")).toEqual(["a.b", "c__d/e---f", "T_g-1.2"]);
  });

  test("digests are kept beside tags", () => {
    expect(parseReference(`busybox:1@sha256:${hex}`)).toEqual({
      domain: "docker.io",
      path: "library/busybox",
      tag: "1",
      digest: parseDigest(`sha256:${hex}`),
    });
    expect(withDefaultTag(parseReference("busybox")).tag).toBe("latest");
    expect(withDefaultTag(parseReference(`busybox@sha256:${hex}`)).tag).toBeUndefined();
  });

  test("what people see parses back to the same", () => {
    for (const text of [
      "busybox:1",
      "user/app",
      "localhost:5000/a:b",
      `library/a/b@sha256:${hex}`,
      "reg.test/library/x",
    ]) {
      expect(familiarString(parseReference(text))).toBe(text);
    }
    expect(familiarName(parseReference("docker.io/library/busybox:1"))).toBe("busybox");
  });

  test("errors are Docker's", () => {
    expect(error("Foo")).toBe("invalid reference format: repository name (library/Foo) must be lowercase");
    expect(error("localhost:5000/Foo")).toBe(
      "invalid reference format: repository name (Foo) must be lowercase",
    );
    expect(error(hex)).toBe(`invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`);
    expect(error("a".repeat(256))).toBe("repository name must not be more than 255 characters");
    expect(error(`foo@sha256:${"a".repeat(32)}`)).toBe("invalid checksum digest length");
    expect(error(`foo@md5:${"a".repeat(32)}`)).toBe("unsupported digest algorithm");
    expect(error(`foo@sha256:${"A".repeat(64)}`)).toBe("invalid checksum digest format");
    const malformed = [
      "",
      " ",
      "/",
      "a//b",
      "-a",
      "a_-b",
      "foo:",
      "foo:-x",
      "foo@",
      "foo@sha256:abc",
      "foo:bar:baz",
    ];
    malformed.push(
      "http://foo/bar",
      "foo.com/",
      "/foo",
      "a___b",
      "../x",
      "a/../b",
      "a b",
      "a\n",
      "a\0",
      `a@b@sha256:${hex}`,
    );
    for (const each of malformed) expect([each, error(each)]).toEqual([each, "invalid reference format"]);
  });

  test("no input takes long", () => {
    const start = performance.now();
    for (const part of ["a-", "a_", "a.", "a/", "A", "a:", "a@", "[:", "é"])
      expect(error(part.repeat(1_000_000))).not.toBe("");
    // Milliseconds are enough; what is quadratic takes hours.
    expect(performance.now() - start).toBeLessThan(60_000);
  }, 90_000);
});

test("digests are of a known algorithm, of its length and in lower case", () => {
  for (const bad of [
    "",
    "sha256:",
    `sha256:${hex}0`,
    `sha256:${hex.toUpperCase()}`,
    "sha256:../x",
    `md5:${hex}`,
    hex,
  ]) {
    expect(() => parseDigest(bad)).toThrow("invalid digest");
  }
  expect(parseDigest(`sha512:${hex}${hex}`) as string).toBe(`sha512:${hex}${hex}`);
});
