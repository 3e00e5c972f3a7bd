import { expect, test } from "bun:test";
import { parseGitRef } from "./git-ref.ts";

const plain = {
  ref: "",
  subdir: "",
  checksum: undefined,
  keepGitDir: undefined,
  submodules: undefined,
  mtime: undefined,
  fetchByCommit: false,
};

test("Repositories are told from paths and downloads", () => {
  for (const [text, remote] of [
    ["https://host/a/b.git", "https://host/a/b.git"],
    ["HTTPS://user@host:8443/b.git#main", "HTTPS://user@host:8443/b.git"],
    ["git://host/b", "git://host/b"],
    ["ssh://git@host:22/b", "ssh://git@host:22/b"],
    ["git@host:a/b.git", "git@host:a/b.git"],
    ["git@host:b", "git@host:b"],
    ["github.com/a/b", "github.com/a/b"],
  ] as const)
    expect(parseGitRef(text)?.remote).toBe(remote);
  for (const text of [
    "",
    ".",
    "./a.git",
    "../a.git",
    "a.git",
    "https://host/file",
    "https://host.git",
    "ftp://h/a.git",
  ])
    expect(parseGitRef(text)).toBeUndefined();
});

test("Fragments and queries say which commit and which directory", () => {
  const remote = "https://h/r.git";
  for (const [text, ref] of [
    ["", {}],
    ["#v1", { ref: "v1" }],
    ["#v1:a/./b/", { ref: "v1", subdir: "a/b" }],
    ["#:/a", { subdir: "a" }],
    ["#:a/../b", { subdir: "b" }],
    ["?tag=v1", { ref: "refs/tags/v1" }],
    ["?branch=refs/heads/x", { ref: "refs/heads/x" }],
    ["?ref=x&subdir=s#x:s", { ref: "x", subdir: "s" }],
    ["?mtime=commit&fetch-by-commit", { mtime: "commit", fetchByCommit: true }],
    ["?fetch-by-commit=0&mtime=checkout", { mtime: "checkout" }],
    ["?commit=abc&keep-git-dir&submodules=false", { checksum: "abc", keepGitDir: true, submodules: false }],
  ] as const)
    expect(parseGitRef(remote + text)).toEqual({ ...plain, remote, likePath: false, ...ref });
});

test("What contradicts itself, means nothing or leads out is refused", () => {
  for (const [text, message] of [
    ["?tag=a&branch=b", "ref conflicts"],
    ["?ref=a#b", 'ref conflicts: "b" vs "a"'],
    ["?foo=1", 'unexpected query "foo"'],
    ["?tag=", 'query "tag" has no value'],
    ["?ref=a&ref=b", 'query "ref" has multiple values'],
    ["?keep-git-dir=maybe", 'invalid keep-git-dir value: "maybe"'],
    ["?mtime=now", 'invalid mtime value: "now"'],
    ["#x:..", 'invalid subdir "..": it leads out of the repository'],
    ["#x:/a/../../b", 'invalid subdir "/a/../../b": it leads out of the repository'],
    ["?subdir=../x", 'invalid subdir "../x": it leads out of the repository'],
  ] as const)
    expect(() => parseGitRef(`https://h/r.git${text}`)).toThrow(message);
});
