import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { type Database, openDatabase } from "../../base/store/database.ts";
import { AT_FDCWD, closeFd, makedev, mknodat, O, S_IFCHR, S_IFIFO } from "../../base/sys/at.ts";
import { mount, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { readMountInfo } from "../../base/sys/mount/mountinfo.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import { getXattr } from "../../base/sys/xattr.ts";
import { listChanges } from "./changes.ts";
import { diffTar } from "./diff.ts";
import type { Mount, Snapshotter } from "./snapshotter.ts";
import { withinMounts } from "./testdata/within-mounts.ts";

/** What a driver is opened with; a second open on the same arguments is what a restart of the daemon does. */
export interface SuiteContext {
  readonly db: Database;
  readonly root: string;
}

const chain = (name: string) => `sha256:${name.padEnd(64, "0")}` as ChainId;

async function code(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    return codeOf(error);
  }
  return "none";
}

/** The tests that every snapshot driver passes. */
export function snapshotterSuite(
  driver: string,
  open: (context: SuiteContext) => Promise<Snapshotter>,
  /** Where the tests make their directories: a file system that the driver can use. */
  place: () => string = tmpdir,
): void {
  describe(driver, () => {
    let base = "";
    let context: SuiteContext;
    let snapshots: Snapshotter;

    beforeEach(async () => {
      base = mkdtempSync(join(place(), `snapshot-${driver}-`));
      mkdirSync(join(base, "root"), { mode: 0o700 });
      context = { db: openDatabase(join(base, "db")), root: join(base, "root") };
      snapshots = await open(context);
    });
    afterEach(() => {
      context.db.close();
      // Trees that are file systems of their own.
      const mounted = readMountInfo().map(({ mountpoint }) => mountpoint);
      for (const path of mounted.reverse()) if (path.startsWith(`${base}/`)) unmountIfMounted(path);
      rmSync(base, { recursive: true, force: true });
      // 130 whole trees take their time on a busy disk.
    }, 60_000);

    const within = <R>(mounts: readonly Mount[], work: (root: string) => R): R =>
      withinMounts(base, mounts, work);

    async function layer(
      name: string,
      parent: string | undefined,
      fill: (root: string) => void,
    ): Promise<ChainId> {
      within(await snapshots.prepare(`fill-${name}`, parent === undefined ? undefined : chain(parent)), fill);
      await snapshots.commit(chain(name), `fill-${name}`);
      return chain(name);
    }

    const tree = () => {
      const count = readdirSync(context.root).filter((name) => !name.startsWith("."));
      return count.length;
    };

    test("layers stack: later ones change, replace and remove what earlier ones brought", async () => {
      await layer("a", undefined, (root) => {
        mkdirSync(join(root, "etc"));
        writeFileSync(join(root, "etc/keep"), "a");
        writeFileSync(join(root, "etc/gone"), "a");
        mkdirSync(join(root, "dir"));
        writeFileSync(join(root, "dir/old"), "a");
      });
      await layer("b", "a", (root) => {
        writeFileSync(join(root, "etc/keep"), "b");
        rmSync(join(root, "etc/gone"));
        rmSync(join(root, "dir"), { recursive: true });
        mkdirSync(join(root, "dir"));
        writeFileSync(join(root, "dir/new"), "b");
      });
      within(snapshots.mounts(chain("b")), (root) => {
        expect(readFileSync(join(root, "etc/keep"), "utf8")).toBe("b");
        expect(existsSync(join(root, "etc/gone"))).toBe(false);
        expect(readdirSync(join(root, "dir"))).toEqual(["new"]);
      });
      within(snapshots.mounts(chain("a")), (root) => {
        expect(readFileSync(join(root, "etc/keep"), "utf8")).toBe("a");
        expect(readdirSync(join(root, "dir"))).toEqual(["old"]);
      });
    });

    test("two active snapshots of one parent do not see each other, nor does the parent", async () => {
      await layer("a", undefined, (root) => writeFileSync(join(root, "f"), "a"));
      const one = await snapshots.prepare("one", chain("a"));
      const two = await snapshots.prepare("two", chain("a"), { volatile: true });
      within(one, (root) => writeFileSync(join(root, "f"), "one"));
      within(two, (root) => expect(readFileSync(join(root, "f"), "utf8")).toBe("a"));
      within(snapshots.mounts(chain("a")), (root) => {
        expect(readFileSync(join(root, "f"), "utf8")).toBe("a");
        expect(() => writeFileSync(join(root, "f"), "x")).toThrow("EROFS");
      });
      // Mounted a second time, as a container started again does.
      within(snapshots.mounts("one"), (root) => expect(readFileSync(join(root, "f"), "utf8")).toBe("one"));
      within(snapshots.mounts("two"), (root) => expect(readdirSync(root)).toEqual(["f"]));
    });

    test("the mode and owner of the root directory are handed down", async () => {
      await layer("a", undefined, (root) => {
        expect(statSync(root).mode & 0o7777).toBe(0o755);
        Bun.spawnSync(["chown", "12:34", root]);
        Bun.spawnSync(["chmod", "1751", root]);
      });
      within(await snapshots.prepare("box", chain("a")), (root) => {
        const { mode, uid, gid } = statSync(root);
        expect([mode & 0o7777, uid, gid]).toEqual([0o1751, 12, 34]);
      });
    });

    test("keys, parents and states are checked", async () => {
      await snapshots.prepare("box", undefined);
      expect(await code(snapshots.prepare("box", undefined))).toBe("conflict");
      expect(await code(snapshots.prepare("other", chain("missing")))).toBe("not-found");
      expect(await code(snapshots.prepare("other", "box" as ChainId))).toBe("conflict");
      expect(await code(snapshots.commit(chain("a"), "missing"))).toBe("not-found");
      await snapshots.commit(chain("a"), "box");
      expect(await code(snapshots.commit(chain("b"), chain("a")))).toBe("conflict");
      expect(() => snapshots.mounts("box")).toThrow();
      await snapshots.prepare("box", chain("a"));
      expect(await code(snapshots.commit(chain("a"), "box"))).toBe("conflict");
      expect(tree()).toBe(2);
    });

    test("a parent stays while it has children; removal is idempotent and leaves nothing", async () => {
      await layer("a", undefined, (root) => mkdirSync(join(root, "d")));
      await layer("b", "a", (root) => writeFileSync(join(root, "d/f"), "b"));
      await snapshots.prepare("box", chain("b"));
      expect(await code(snapshots.remove(chain("b")))).toBe("conflict");
      expect([...snapshots.list()].map((info) => info.name).sort()).toEqual(
        [chain("a"), chain("b"), "box"].sort(),
      );
      for (const name of ["box", chain("b"), chain("a"), "box"]) await snapshots.remove(name);
      expect([...snapshots.list()]).toEqual([]);
      expect(tree()).toBe(0);
    });

    test("a renamed snapshot keeps its files and its children, whatever is mounted", async () => {
      await layer("a", undefined, (root) => writeFileSync(join(root, "f"), "a"));
      await layer("b", "a", (root) => writeFileSync(join(root, "g"), "b"));
      within(await snapshots.prepare("box", chain("b")), (root) => {
        writeFileSync(join(root, "own"), "box");
        snapshots.rename(chain("a"), chain("new"));
        expect(readdirSync(root).sort()).toEqual(["f", "g", "own"]);
      });
      expect(snapshots.stat(chain("a"))).toBeUndefined();
      expect(snapshots.stat(chain("b"))?.parent).toBe(chain("new"));
      expect(await code(snapshots.remove(chain("new")))).toBe("conflict");
      const again = await open(context);
      within(again.mounts("box"), (root) => expect(readdirSync(root).sort()).toEqual(["f", "g", "own"]));
      expect(listChanges(again.layout("box")).map((change) => change.path)).toEqual(["/own"]);
      expect(tree()).toBe(3);
    });

    test("renamed to one that exists, a snapshot gives its children to it and may go", async () => {
      const fill = (root: string) => {
        writeFileSync(join(root, "f"), "same");
        utimesSync(join(root, "f"), 1_000_000, 1_000_000);
      };
      await layer("a", undefined, fill);
      await layer("twin", undefined, fill);
      await layer("b", "twin", (root) => writeFileSync(join(root, "g"), "b"));
      await snapshots.prepare("box", chain("twin"));
      snapshots.rename(chain("twin"), chain("a"));
      expect(snapshots.stat(chain("b"))?.parent).toBe(chain("a"));
      expect(snapshots.stat("box")?.parent).toBe(chain("a"));
      await snapshots.remove(chain("twin"));
      expect(tree()).toBe(3);
      within(snapshots.mounts(chain("b")), (root) => expect(readdirSync(root).sort()).toEqual(["f", "g"]));
      expect(listChanges(snapshots.layout(chain("b"))).map((change) => change.path)).toEqual(["/g"]);
      // What lies on the other one may be given to it: an empty layer stands for what it stands on.
      await layer("empty", "a", () => undefined);
      await layer("top", "empty", (root) => writeFileSync(join(root, "h"), "top"));
      snapshots.rename(chain("empty"), chain("a"));
      expect(snapshots.stat(chain("top"))?.parent).toBe(chain("a"));
    });

    test("only what is committed is renamed, and never below itself", async () => {
      await layer("a", undefined, () => undefined);
      await layer("b", "a", () => undefined);
      await snapshots.prepare("box", chain("b"));
      const told = (run: () => void) => code((async () => run())());
      expect(await told(() => snapshots.rename(chain("none"), chain("new")))).toBe("not-found");
      expect(await told(() => snapshots.rename("box" as ChainId, chain("new")))).toBe("conflict");
      expect(await told(() => snapshots.rename(chain("a"), "box" as ChainId))).toBe("conflict");
      expect(await told(() => snapshots.rename(chain("a"), chain("b")))).toBe("conflict");
      snapshots.rename(chain("a"), chain("a"));
      expect([...snapshots.list()].map(({ name, parent }) => [name, parent])).toContainEqual([
        chain("b"),
        chain("a"),
      ]);
    });

    test("what is committed without waiting for the disk is there, and sync makes it last", async () => {
      await layer("base", undefined, () => undefined);
      within(await snapshots.prepare("fill", chain("base"), { volatile: true }), (root) =>
        writeFileSync(join(root, "f"), "text"),
      );
      await snapshots.commit(chain("a"), "fill", { relaxed: true });
      await snapshots.sync();
      const again = await open(context);
      within(again.mounts(chain("a")), (root) => expect(readFileSync(join(root, "f"), "utf8")).toBe("text"));
    });

    test("stat tells kind and parent", async () => {
      await layer("a", undefined, () => undefined);
      await snapshots.prepare("box", chain("a"));
      const info = snapshots.stat("box");
      expect([info?.kind, info?.parent]).toEqual(["active", chain("a")]);
      expect(snapshots.stat(chain("a"))?.kind).toBe("committed");
      expect(snapshots.stat("missing")).toBeUndefined();
      expect(() => snapshots.layout("missing")).toThrow("does not exist");
    });

    test("usage counts bytes and inodes, hard links once", async () => {
      await layer("a", undefined, (root) => {
        writeFileSync(join(root, "big"), Buffer.alloc(1 << 20, 7));
        linkSync(join(root, "big"), join(root, "same"));
      });
      const usage = await snapshots.usage(chain("a"));
      expect(usage.inodes).toBe(2);
      expect(usage.bytes).toBeGreaterThanOrEqual(1 << 20);
      expect(usage.bytes).toBeLessThan((1 << 20) + 100_000);
      expect(await snapshots.usage(chain("a"))).toEqual(usage);
    });

    test("after a restart everything is as it was", async () => {
      await layer("a", undefined, (root) => writeFileSync(join(root, "f"), "a"));
      within(await snapshots.prepare("box", chain("a")), (root) => writeFileSync(join(root, "g"), "box"));
      const again = await open(context);
      within(again.mounts("box"), (root) => expect(readdirSync(root).sort()).toEqual(["f", "g"]));
      expect([...again.list()]).toEqual([...snapshots.list()]);
    });

    test("a directory without record and a record without directory are repaired at the next start", async () => {
      await layer("a", undefined, () => undefined);
      await layer("b", "a", () => undefined);
      await layer("c", undefined, () => undefined);
      await snapshots.prepare("box", chain("b"));
      mkdirSync(join(context.root, "halfmade00", "deep"), { recursive: true });
      mkdirSync(join(context.root, ".trash", "halfgone00"));
      // A lost disk, or somebody's hand: nothing that we do takes a layer from under its children.
      const layout = snapshots.layout(chain("a"));
      const own = join(layout.kind === "overlay" ? layout.upper : layout.tree, "..");
      renameSync(own, join(context.root, ".trash", "a"));
      const again = await open(context);
      // What lies on the lost one stays: the box may hold what a container wrote, and "a" may be unpacked again under its name.
      expect([...again.list()].map((info) => info.name).sort()).toEqual(
        [chain("b"), chain("c"), "box"].sort(),
      );
      expect(tree()).toBe(3);
      expect(readdirSync(join(context.root, ".trash"))).toEqual([]);
    });

    test("what cannot be removed fails for who removes it, and keeps neither others nor the next start", async () => {
      await snapshots.prepare("stuck", undefined);
      const layout = snapshots.layout("stuck");
      // As an immutable file would, on every file system.
      const held = join(layout.kind === "overlay" ? layout.upper : layout.tree, "../held");
      mkdirSync(held);
      const trashed = () => readdirSync(join(context.root, ".trash"));
      mount("tmpfs", held, "tmpfs", 0, "size=64k");
      try {
        expect(await code(snapshots.remove("stuck"))).not.toBe("none");
        await snapshots.prepare("box", undefined);
        await snapshots.remove("box");
        await open(context);
        expect([[...snapshots.list()], tree(), trashed().length]).toEqual([[], 0, 1]);
      } finally {
        for (const name of trashed()) unmountIfMounted(join(context.root, ".trash", name, "held"));
      }
      await open(context);
      expect(trashed()).toEqual([]);
    });

    test("no unprivileged user can reach a layer", async () => {
      await layer("a", undefined, () => undefined);
      for (const name of readdirSync(context.root)) {
        expect(lstatSync(join(context.root, name)).mode & 0o077).toBe(0);
      }
      const layout = snapshots.layout(chain("a"));
      const tree = layout.kind === "overlay" ? layout.upper : layout.tree;
      expect(Bun.spawnSync(["setpriv", "--reuid=65534", "--clear-groups", "ls", tree]).exitCode).not.toBe(0);
    });

    test("the contents of a failed prepare are gone, and many prepares at once do not collide", async () => {
      await layer("a", undefined, () => undefined);
      const keys = Array.from({ length: 20 }, (_, i) => `box${i % 10}`);
      const results = await Promise.allSettled(keys.map((key) => snapshots.prepare(key, chain("a"))));
      expect(results.filter((result) => result.status === "fulfilled").length).toBe(10);
      expect(tree()).toBe(11);
    });

    test("every kind of node, link, owner, mode and attribute is kept through layers", async () => {
      await layer("a", undefined, (root) => {
        using tree = RootedDir.open(root);
        writeFileSync(join(root, "f"), "text");
        linkSync(join(root, "f"), join(root, "same"));
        symlinkSync("../nowhere", join(root, "link"));
        mknodat(AT_FDCWD, join(root, "null"), S_IFCHR | 0o666, makedev(1, 3));
        mknodat(AT_FDCWD, join(root, "pipe"), S_IFIFO | 0o600);
        chownSync(join(root, "f"), 1234, 5678);
        chmodSync(join(root, "f"), 0o4755);
        tree.setXattr("f", "user.note", Buffer.from("kept"));
        tree.setXattr("f", "security.capability", fileCapability);
      });
      within(await snapshots.prepare("box", chain("a")), (root) => {
        // Written in the child, so that it is copied up where the driver does so.
        lchownSync(join(root, "link"), 7, 8);
        chmodSync(join(root, "f"), 0o4751);
        const { mode, uid, gid, ino } = lstatSync(join(root, "f"));
        expect([mode & 0o7777, uid, gid]).toEqual([0o4751, 1234, 5678]);
        expect(readlinkSync(join(root, "link"))).toBe("../nowhere");
        expect(lstatSync(join(root, "link")).uid).toBe(7);
        expect([
          lstatSync(join(root, "null")).isCharacterDevice(),
          lstatSync(join(root, "null")).rdev,
        ]).toEqual([true, 0x103]);
        expect(readFileSync(join(root, "null"), "utf8")).toBe("");
        expect(lstatSync(join(root, "pipe")).isFIFO()).toBe(true);
        linkSync(join(root, "f"), join(root, "third"));
        expect(lstatSync(join(root, "third")).ino).toBe(ino);
        using tree = RootedDir.open(root);
        const fd = tree.open("/", O.RDONLY);
        try {
          expect(getXattr(fd, "f", "user.note")?.toString()).toBe("kept");
          expect(getXattr(fd, "f", "security.capability")?.toString("hex")).toBe(
            fileCapability.toString("hex"),
          );
        } finally {
          closeFd(fd);
        }
      });
    });

    test("changes are told as they are: added, changed, removed, replaced, and nothing of the driver's own", async () => {
      await layer("a", undefined, (root) => {
        for (const name of ["dir", "replaced", "quiet"]) {
          mkdirSync(join(root, name));
          writeFileSync(join(root, name, "old"), "a");
        }
        writeFileSync(join(root, "changed"), "a");
        writeFileSync(join(root, "gone"), "a");
      });
      within(await snapshots.prepare("box", chain("a")), (root) => {
        appendFileSync(join(root, "changed"), "more");
        rmSync(join(root, "gone"));
        writeFileSync(join(root, "dir/new"), "b");
        rmSync(join(root, "replaced"), { recursive: true });
        mkdirSync(join(root, "replaced"));
        mkdirSync(join(root, "replaced/fresh"));
        mkdirSync(join(root, "added"));
      });
      const told = listChanges(snapshots.layout("box")).map(({ kind, path }) => `${kind} ${path}`);
      expect(told).toEqual([
        "added /added",
        "changed /changed",
        "changed /dir",
        "added /dir/new",
        "deleted /gone",
        "changed /replaced",
        "added /replaced/fresh",
        "deleted /replaced/old",
      ]);
      // As a layer tar it makes the same tree again, on this driver too.
      const files = [...diffTar(snapshots.layout("box"))];
      const text = Buffer.concat(files).toString("latin1");
      expect(text.includes("fuseoverlayfs")).toBe(false);
      within(snapshots.mounts("box"), (root) => {
        expect(readdirSync(join(root, "replaced"))).toEqual(["fresh"]);
        expect(existsSync(join(root, "gone"))).toBe(false);
      });
    });

    test("130 layers can be mounted, and the last one sees the first", async () => {
      let below: string | undefined;
      for (let i = 0; i < 130; i++) {
        const name = i.toString(16).padStart(3, "0");
        await snapshots.prepare(`fill-${name}`, below === undefined ? undefined : chain(below));
        const layout = snapshots.layout(`fill-${name}`);
        writeFileSync(join(layout.kind === "overlay" ? layout.upper : layout.tree, `f${name}`), name);
        await snapshots.commit(chain(name), `fill-${name}`);
        below = name;
      }
      within(await snapshots.prepare("box", chain(below ?? "")), (root) => {
        expect(readdirSync(root).length).toBe(130);
        expect(readFileSync(join(root, "f000"), "utf8")).toBe("000");
        rmSync(join(root, "f000"));
        expect(readdirSync(root).length).toBe(129);
      });
      within(snapshots.mounts(chain(below ?? "")), (root) => expect(readdirSync(root).length).toBe(130));
    }, 60_000);

    test("a size is honoured, or refused: it is never taken and forgotten", async () => {
      await layer("a", undefined, () => undefined);
      expect(() => snapshots.readOptions({ nosuch: "1" })).toThrow();
      let size: number | undefined;
      try {
        size = snapshots.readOptions({ size: "16m" }).size;
      } catch (error) {
        expect(codeOf(error)).toBe("invalid-argument");
        console.log(`${driver} sets no sizes here: ${(error as Error).message}`);
        return;
      }
      expect(size).toBe(16 << 20);
      within(await snapshots.prepare("small", chain("a"), { size: 16 << 20 }), (root) => {
        expect(() => writeFileSync(join(root, "big"), Buffer.alloc(32 << 20, 7), { flush: true })).toThrow(
          /ENOSPC|EDQUOT/,
        );
      });
      within(await snapshots.prepare("large", chain("a")), (root) =>
        writeFileSync(join(root, "big"), Buffer.alloc(32 << 20, 7), { flush: true }),
      );
    }, 30_000);
  });
}

/** CAP_NET_BIND_SERVICE, permitted and effective (struct vfs_cap_data, revision 2). */
const fileCapability = Buffer.from("0100000200040000000000000000000000000000", "hex");
