import { expect, test } from "bun:test";
import { linkSync, lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, unmountIfMounted } from "../../../../base/sys/mount/mount.ts";
import { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { applyChanges } from "../changes.ts";
import { restackLayer } from "../restack.ts";

function inTrees(check: (at: (path: string) => string) => void): void {
  const root = mkdtempSync(join(tmpdir(), "links-"));
  const at = (path: string) => join(root, path);
  for (const name of ["source/a", "source/b", "into"]) mkdirSync(at(name), { recursive: true });
  writeFileSync(at("source/a/one"), "text");
  linkSync(at("source/a/one"), at("source/a/two"));
  linkSync(at("source/a/one"), at("source/b/three"));
  try {
    check(at);
    const [one, two, three] = ["a/one", "a/two", "b/three"].map((path) => lstatSync(at(`into/${path}`)));
    expect([two?.ino, three?.ino, one?.nlink]).toEqual([one?.ino, one?.ino, 3]);
  } finally {
    unmountIfMounted(at("into"));
    rmSync(root, { recursive: true });
  }
}

test("names of one file in several directories are names of one file in a difference", () => {
  inTrees((at) => {
    using into = RootedDir.open(at("into"));
    using source = RootedDir.open(at("source"));
    applyChanges(into.fd, undefined, source.fd);
  });
});

test("names of one file in several directories are names of one file in a layer that goes to another file system", () => {
  inTrees((at) => {
    mount("tmpfs", at("into"), "tmpfs", 0, "size=1m");
    expect(restackLayer(at("source"), at("into"))).toBe(false);
  });
});
