import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../../base/lib/errors.ts";
import { TarParser } from "../../../base/lib/tar/parser.ts";
import type { NewTarEntry } from "../../../base/lib/tar/writer.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { walkTree } from "../../../base/sys/walk.ts";
import { tarOf } from "../../image/testdata/fixture.ts";
import { layerError } from "../../image/unpack/unpack-layer.ts";
import { LayerApplier } from "./apply-layer.ts";

let base = "";
let umask = 0;
const at = (...parts: string[]) => join(base, ...parts);

beforeEach(() => {
  umask = process.umask(0);
  base = mkdtempSync(join(tmpdir(), "apply-"));
  mkdirSync(at("outside"));
  writeFileSync(at("outside", "canary"), "untouched");
});
afterEach(() => {
  unmountIfMounted(at("merged"));
  process.umask(umask);
  rmSync(base, { recursive: true, force: true });
});

type Layer = readonly (readonly [NewTarEntry, string?])[];
const dir = (path: string, more: Partial<NewTarEntry> = {}) =>
  [{ path, kind: "directory", ...more }] as const;
const file = (path: string, text = "", more: Partial<NewTarEntry> = {}) =>
  [{ path, kind: "file", ...more }, text] as const;
const soft = (path: string, linkPath: string) => [{ path, kind: "symlink", linkPath }] as const;
const hard = (path: string, linkPath: string) => [{ path, kind: "link", linkPath }] as const;

function feed(applier: LayerApplier, tar: Buffer): void {
  try {
    const parser = new TarParser(applier);
    parser.push(tar);
    parser.finish();
    applier.finish();
  } catch (error) {
    throw layerError(error);
  }
}

/** Applies layers one over another into overlay directories and lets `look` see them merged by the kernel. */
function overlaid<R>(layers: readonly Layer[], look: (root: string) => R): R {
  const lowers: string[] = [];
  for (const [index, layer] of layers.entries()) {
    const upper = at(`layer${index}`);
    mkdirSync(upper);
    using applier = new LayerApplier({ kind: "overlay", upper, lowers });
    feed(applier, tarOf(...layer));
    lowers.unshift(upper);
  }
  mkdirSync(at("merged"), { recursive: true });
  mkdirSync(at("empty"), { recursive: true });
  const options = ["ro", `lowerdir=${[...lowers, at("empty")].join(":")}`];
  mountSpec({ type: "overlay", source: "overlay", options }, at("merged"));
  try {
    return look(at("merged"));
  } finally {
    unmountIfMounted(at("merged"));
  }
}

/** The same into one whole tree, as vfs does. */
function whole<R>(layers: readonly Layer[], look: (root: string) => R): R {
  mkdirSync(at("tree"));
  for (const layer of layers) {
    using applier = new LayerApplier({ kind: "tree", tree: at("tree") });
    feed(applier, tarOf(...layer));
  }
  return look(at("tree"));
}

/** Path -> content or kind of everything below. */
function listing(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  using tree = RootedDir.open(root);
  for (const { path, stat } of walkTree(tree.fd)) {
    if (stat.kind === "directory") found[path] = "dir";
    else if (stat.kind === "symlink") found[path] = `-> ${tree.readlink(path)}`;
    else found[path] = stat.kind === "file" ? tree.readFile(path, 1000).toString() : stat.kind;
  }
  return found;
}

for (const [name, apply] of [
  ["as overlay", overlaid],
  ["as a whole tree", whole],
] as const) {
  describe(name, () => {
    test("whiteouts remove what lower layers brought, and nothing of their own layer", () => {
      const tree = apply(
        [
          [dir("a"), file("a/one", "1"), file("a/two", "2"), dir("b"), file("b/x", "x"), file("c", "c")],
          [file("a/.wh.one"), file(".wh.b"), file("c", "new"), file(".wh.c"), file("a/.wh.missing")],
        ],
        listing,
      );
      expect(tree).toEqual({ a: "dir", "a/two": "2", c: "new" });
    });

    test("an opaque marker hides lower contents wherever it stands in the tar", () => {
      for (const layer of [
        [dir("d"), file("d/.wh..wh..opq"), file("d/new", "n")],
        [dir("d"), file("d/new", "n"), file("d/.wh..wh..opq")],
      ]) {
        const tree = apply(
          [[dir("d"), file("d/old", "o"), dir("d/sub"), file("d/sub/f", "f")], layer],
          listing,
        );
        expect(tree).toEqual({ d: "dir", "d/new": "n" });
        for (const left of readdirSync(base)) if (left !== "outside") rmSync(at(left), { recursive: true });
      }
    });

    test("a directory whited out and made again is empty", () => {
      const tree = apply(
        [
          [dir("d"), file("d/old", "o")],
          [file(".wh.d"), dir("d"), file("d/new", "n")],
        ],
        listing,
      );
      expect(tree).toEqual({ d: "dir", "d/new": "n" });
    });

    test("files, links and directories replace each other", () => {
      const tree = apply(
        [
          [dir("d"), file("d/old", "o"), file("f", "f"), soft("s", "d"), dir("keep"), file("keep/k", "k")],
          [file("d", "now a file"), dir("f"), file("f/in", "i"), dir("s"), file("s/in", "s"), dir("keep")],
        ],
        listing,
      );
      expect(tree).toEqual({
        d: "now a file",
        f: "dir",
        "f/in": "i",
        s: "dir",
        "s/in": "s",
        keep: "dir",
        "keep/k": "k",
      });
    });

    test("files of lower layers make way for directories, overlay's whiteout removes, and what this layer names stays", () => {
      const tree = apply(
        [
          [file("f", "f"), file("g", "g"), file("x", "x"), dir("d"), file("d/old", "o"), file("linked", "l")],
          [
            ...[file("f/in", "i"), file("g/.wh..wh..opq")],
            [{ path: "x", kind: "char" }],
            ...[file("d/.wh.old"), file(".wh.d"), hard("own", "linked"), file(".wh.linked")],
          ],
        ],
        listing,
      );
      expect(tree).toEqual({ f: "dir", "f/in": "i", g: "dir", d: "dir", own: "l" });
    });

    test("of a name that occurs twice the later member wins", () => {
      const tree = apply(
        [[file("a", "1"), dir("a"), file("a/x", "2"), soft("a", "b"), file("a", "3")]],
        listing,
      );
      expect(tree).toEqual({ a: "3" });
    });

    test("parents that only lower layers have are used as they are, links among them too", () => {
      const tree = apply(
        [
          [
            dir("usr", { mode: 0o751, uid: 5, gid: 6 }),
            dir("usr/lib"),
            soft("lib", "usr/lib"),
            soft("abs", "/usr/lib"),
          ],
          [
            file("usr/lib/a", "a"),
            file("lib/b", "b"),
            file("abs/c", "c"),
            file("abs/../d", "d"),
            file("fresh/x", "x"),
          ],
        ],
        (root) => {
          const stat = lstatSync(join(root, "usr"));
          expect([stat.mode & 0o7777, stat.uid, stat.gid]).toEqual([0o751, 5, 6]);
          return listing(root);
        },
      );
      expect(tree).toEqual({
        usr: "dir",
        "usr/lib": "dir",
        "usr/lib/a": "a",
        "usr/lib/b": "b",
        "usr/lib/c": "c",
        d: "d",
        lib: "-> usr/lib",
        abs: "-> /usr/lib",
        fresh: "dir",
        "fresh/x": "x",
      });
    });

    test("what is root's stays root's in a directory that hands on its group, of this layer or one below", () => {
      const handsOn = dir("g", { mode: 0o2775, gid: 6 });
      const inside = [file("g/file"), dir("g/sub"), soft("g/link", "x")] as const;
      apply([[handsOn, ...inside], [file("g/later")]], (root) => {
        for (const name of ["file", "sub", "link", "later"]) {
          const { uid, gid } = lstatSync(join(root, "g", name));
          expect([name, uid, gid]).toEqual([name, 0, 0]);
        }
        expect(lstatSync(join(root, "g/sub")).mode & 0o7777).toBe(0o755);
      });
    });

    test("a hard link to a file of a lower layer links it", () => {
      apply([[file("orig", "o", { mode: 0o640, uid: 7 })], [hard("copy", "orig")]], (root) => {
        expect(readFileSync(join(root, "copy"), "utf8")).toBe("o");
        const stat = lstatSync(join(root, "copy"));
        expect([stat.nlink, stat.mode & 0o777, stat.uid]).toEqual([2, 0o640, 7]);
      });
    });

    test("metadata is set to the last bit", () => {
      const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
      apply(
        [
          [
            dir(".", { mode: 0o755, mtime: 1_000_000_000_000_000_001n }),
            dir("d", { mode: 0o1777, uid: 70_000, gid: 4_000_000_000, mtime: 1_111_111_111_222_222_222n }),
            file("d/suid", "x", {
              mode: 0o6755,
              uid: 100_000,
              gid: 100_001,
              mtime: 1_234_567_890_123_456_789n,
            }),
            file("cap", "x", {
              mode: 0o755,
              uid: 3,
              xattrs: new Map([
                ["security.capability", capability],
                ["user.note", Buffer.from("hi")],
                ["trusted.overlay.opaque", Buffer.from("y")],
              ]),
            }),
            [{ path: "null", kind: "char", mode: 0o666, deviceMajor: 1, deviceMinor: 3 }],
            [{ path: "disk", kind: "block", mode: 0o660, gid: 6, deviceMajor: 259, deviceMinor: 70000 }],
            [{ path: "pipe", kind: "fifo", mode: 0o4620, mtime: -5_000_000_000n }],
            [{ path: "link", kind: "symlink", linkPath: "nowhere", uid: 9, gid: 10, mtime: 77_000_000_000n }],
            hard("d/same", "d/suid"),
            hard("link2", "link"),
          ],
        ],
        (path) => {
          using root = RootedDir.open(path);
          const facts = (name: string) => {
            const { mode, uid, gid, mtime } = root.lstat(name);
            return [mode & 0o7777, uid, gid, mtime];
          };
          expect(facts("d")).toEqual([0o1777, 70_000, 4_000_000_000, 1_111_111_111_222_222_222n]);
          expect(facts("d/suid")).toEqual([0o6755, 100_000, 100_001, 1_234_567_890_123_456_789n]);
          expect(root.lstat(".").mtime).toBe(1_000_000_000_000_000_001n);
          expect(root.getXattr("cap", "security.capability")).toEqual(capability);
          expect(root.listXattrs("cap").sort()).toEqual(["security.capability", "user.note"]);
          expect([root.lstat("null").rdevMajor, root.lstat("null").rdevMinor]).toEqual([1, 3]);
          expect([root.lstat("disk").rdevMajor, root.lstat("disk").rdevMinor]).toEqual([259, 70000]);
          expect(facts("pipe")).toEqual([0o4620, 0, 0, -5_000_000_000n]);
          expect(facts("link").slice(1)).toEqual([9, 10, 77_000_000_000n]);
          expect(root.lstat("d/same").nlink).toBe(2);
          expect(root.readlink("link2")).toBe("nowhere");
        },
      );
    });

    test("a file that a link made of it is replaced without touching what the link leads to", () => {
      const tree = apply([[file("real", "real"), soft("l", "real"), file("l", "own")]], listing);
      expect(tree).toEqual({ real: "real", l: "own" });
    });

    test("names that are long, deep or not UTF-8 are kept", () => {
      const deep = "n".repeat(200);
      apply([[file(`${deep}/${deep}/${deep}`, "deep"), file("caf\udce9", "latin")]], (path) => {
        using root = RootedDir.open(path);
        expect(root.readFile(`${deep}/${deep}/${deep}`, 10).toString()).toBe("deep");
        expect(root.readFile("caf\udce9", 10).toString()).toBe("latin");
      });
    });
  });
}

const escapes: Record<string, Layer> = {
  "dots at the start": [file("../outside/canary", "bad")],
  "dots in the middle": [dir("a"), file("a/../../outside/canary", "bad")],
  "many dots": [file(`${"../".repeat(50)}tmp/escape`, "bad")],
  "a hard link to dots": [hard("h", "../outside/canary"), file("h", "bad")],
  "a hard link to the root": [hard("h", "/")],
  "a whiteout of the parent": [file(".wh..", "")],
  "a whiteout of dots": [dir("a"), file("a/.wh...", "")],
  "a whiteout of nothing": [file(".wh.", "")],
  "a symlink loop as a parent": [soft("a", "b"), soft("b", "a"), file("a/x", "bad")],
  "a file as a parent": [file("a", ""), file("a/x", "bad")],
  "a device as a parent": [[{ path: "a", kind: "char", deviceMajor: 1, deviceMinor: 3 }], file("a/x", "bad")],
  "a hard link to what is not there": [hard("h", "nowhere/at/all")],
  "a hard link to a directory": [dir("d"), hard("h", "d")],
  "a name too long": [file("x".repeat(300), "bad")],
};

for (const [name, layer] of Object.entries(escapes)) {
  test(`hostile: ${name} is refused as a bad layer and touches nothing`, () => {
    for (const apply of [overlaid, whole]) {
      let failure: unknown;
      try {
        apply([layer], () => undefined);
      } catch (error) {
        failure = error;
      }
      expect(codeOf(failure)).toBe("data-loss");
      expect(readdirSync(at("outside"))).toEqual(["canary"]);
      expect(readFileSync(at("outside", "canary"), "utf8")).toBe("untouched");
    }
  });
}

const contained: Record<string, () => { readonly layer: Layer; readonly inside: string }> = {
  "an absolute name": () => ({ layer: [file(at("outside/canary"), "in")], inside: at("outside/canary") }),
  "an absolute name with dots": () => ({ layer: [file("/../../x", "in")], inside: "x" }),
  "an absolute symlink as a parent": () => ({
    layer: [soft("l", at("outside")), file("l/canary", "in")],
    inside: at("outside/canary"),
  }),
  "a relative symlink out as a parent": () => ({
    layer: [soft("l", "../../outside"), file("l/canary", "in")],
    inside: "outside/canary",
  }),
  "links through links": () => ({
    layer: [soft("a", ".."), soft("b", "a/outside"), file("b/canary", "in")],
    inside: "outside/canary",
  }),
  "a symlink in place of an existing directory": () => ({
    layer: [dir("d"), file("d/f", ""), soft("d", "../outside"), file("d/canary", "in")],
    inside: "outside/canary",
  }),
  "a hard link to a symlink that leads out": () => ({
    layer: [soft("s", at("outside/canary")), hard("h", "s"), file("h", "in")],
    inside: "h",
  }),
  "a directory member on a symlink that leads out": () => ({
    layer: [soft("d", at("outside")), dir("d", { mode: 0o700 }), file("d/canary", "in")],
    inside: "d/canary",
  }),
};

for (const [name, make] of Object.entries(contained)) {
  test(`hostile: ${name} stays in the tree`, () => {
    for (const apply of [overlaid, whole]) {
      const { layer, inside } = make();
      apply([layer], (root) => expect(readFileSync(join(root, inside), "utf8")).toBe("in"));
      expect(readFileSync(at("outside", "canary"), "utf8")).toBe("untouched");
      expect(lstatSync(at("outside")).mode & 0o777).toBe(0o777);
    }
  });
}

test("hostile: links that a lower layer holds lead nowhere outside either", () => {
  mkdirSync(at("lower"));
  symlinkSync(at("outside"), at("lower", "l"));
  writeFileSync(at("lower", "f"), "lower");
  linkSync(at("lower", "f"), at("lower", "g"));
  mkdirSync(at("upper"));
  using applier = new LayerApplier({ kind: "overlay", upper: at("upper"), lowers: [at("lower")] });
  feed(applier, tarOf(file("l/canary", "in"), file("l/.wh.x"), hard("h", "f")));
  expect(readdirSync(at("outside"))).toEqual(["canary"]);
  expect(readFileSync(join(at("upper"), at("outside/canary")), "utf8")).toBe("in");
  expect(readFileSync(at("upper/h"), "utf8")).toBe("lower");
  expect(lstatSync(at("lower/f")).nlink).toBe(2);
});

test("hostile: overlay's own attributes and aufs's files are not taken from a layer", () => {
  mkdirSync(at("upper"));
  using applier = new LayerApplier({ kind: "overlay", upper: at("upper"), lowers: [] });
  const xattrs = new Map([
    ["trusted.overlay.redirect", Buffer.from("/secret")],
    ["trusted.overlay.metacopy", Buffer.alloc(0)],
  ]);
  feed(applier, tarOf(dir("d", { xattrs }), dir(".wh..wh.plnk"), file(".wh..wh.aufs"), file(".wh.gone")));
  using root = RootedDir.open(at("upper"));
  expect(root.listXattrs("d")).toEqual([]);
  expect(readdirSync(at("upper"))).toEqual(["d"]);
  expect(existsSync(at("upper/gone"))).toBe(false);
});

test("a set-gid directory and a default ACL do not change what is put into them", () => {
  whole(
    [
      [
        dir("d", {
          mode: 0o2755,
          gid: 50,
          xattrs: new Map([
            [
              "system.posix_acl_default",
              Buffer.from("0200000001000700ffffffff04000500ffffffff20000000ffffffff", "hex"),
            ],
          ]),
        }),
        file("d/f", "", { mode: 0o644 }),
        dir("d/sub", { mode: 0o755 }),
      ],
    ],
    (root) => {
      const f = lstatSync(join(root, "d/f"));
      const sub = lstatSync(join(root, "d/sub"));
      expect([f.mode & 0o7777, f.gid, sub.mode & 0o7777, sub.gid]).toEqual([0o644, 0, 0o755, 0]);
    },
  );
});

test("a tree with thousands of directories does not run out of descriptors", () => {
  const layer = Array.from({ length: 500 }, (_, i) => file(`d${i}/e/f`, String(i)));
  whole([layer], (root) => expect(readFileSync(join(root, "d499/e/f"), "utf8")).toBe("499"));
});
