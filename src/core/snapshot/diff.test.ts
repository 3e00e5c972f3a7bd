import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { TarParser } from "../../base/lib/tar/parser.ts";
import { tarTrailer } from "../../base/lib/tar/writer.ts";
import { type Database, openDatabase } from "../../base/store/database.ts";
import { AT_FDCWD, closeFd, makedev, O, openat, S_IFCHR } from "../../base/sys/at.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import { walkTree } from "../../base/sys/walk.ts";
import { LayerApplier } from "./apply/apply-layer.ts";
import { listChanges } from "./changes.ts";
import { diffTar } from "./diff.ts";
import type { SnapshotterDeps } from "./directory-snapshots.ts";
import { openBtrfs } from "./drivers/btrfs/btrfs.ts";
import { openFuseOverlay } from "./drivers/fuse-overlayfs/fuse-overlayfs.ts";
import { openOverlay2 } from "./drivers/overlay2/overlay2.ts";
import { openVfs } from "./drivers/vfs/vfs.ts";
import type { Mount, Snapshotter } from "./snapshotter.ts";
import { TarNodes } from "./tar-node.ts";
import { LoopDisk } from "./testdata/loop-disk.ts";
import { withinMounts } from "./testdata/within-mounts.ts";

const parent = `sha256:${"a".repeat(64)}` as ChainId;

interface Driver {
  readonly open: (deps: SnapshotterDeps) => Promise<Snapshotter>;
  readonly place?: () => string;
}

const drivers: Record<string, Driver> = { overlay2: { open: openOverlay2 }, vfs: { open: openVfs } };
const noBtrfs = LoopDisk.missing("btrfs");
if (noBtrfs) {
  console.log(`skipped: changes on btrfs: ${noBtrfs}`);
} else {
  const disk = LoopDisk.make("btrfs");
  afterAll(() => disk.close());
  drivers["btrfs"] = { open: openBtrfs, place: () => disk.path };
}
const program = Bun.which("fuse-overlayfs");
if (program) drivers["fuse-overlayfs"] = { open: (deps) => openFuseOverlay({ ...deps, program }) };
else console.log("skipped: changes on fuse-overlayfs, which is not installed");

function* treeTar(root: string): Generator<Uint8Array, void, undefined> {
  const nodes = new TarNodes();
  const fd = openat(AT_FDCWD, root, O.PATH | O.DIRECTORY);
  try {
    for (const { dir, name, path, stat } of walkTree(fd)) yield* nodes.member(dir, name, path, stat);
    yield tarTrailer;
  } finally {
    closeFd(fd);
  }
}

for (const [driver, { open, place = tmpdir }] of Object.entries(drivers)) {
  describe(driver, () => {
    let base = "";
    let umask = 0;
    let snapshots: Snapshotter;
    let db: Database;

    beforeEach(async () => {
      umask = process.umask(0o022);
      base = mkdtempSync(join(place(), "diff-"));
      db = openDatabase(join(base, "db"), { durable: false });
      mkdirSync(join(base, "root"));
      snapshots = await open({
        db,
        root: join(base, "root"),
        clock: systemClock,
        sync: async () => undefined,
      });
      within(await snapshots.prepare("base", undefined), (root) => {
        for (const dir of ["etc", "etc/sub", "var", "var/log", "opt", "quiet", "quiet/deep"])
          mkdirSync(join(root, dir));
        for (const file of ["etc/a", "etc/b", "etc/sub/c", "var/log/l", "opt/x", "opt/y", "quiet/deep/q"]) {
          writeFileSync(join(root, file), file);
          // The kernel's times go in ticks of some milliseconds: a file of the same size is told from one written in another tick only.
          utimesSync(join(root, file), 3000, 3000);
        }
        symlinkSync("etc", join(root, "link"));
      });
      await snapshots.commit(parent, "base");
    });
    afterEach(() => {
      process.umask(umask);
      db.close();
      rmSync(base, { recursive: true, force: true });
    });

    const within = <R>(mounts: readonly Mount[], work: (root: string) => R): R =>
      withinMounts(base, mounts, work);

    /** What one tar of the whole tree says, times in seconds. */
    function contents(mounts: readonly Mount[]): string[] {
      const lines: string[] = [];
      const parser = new TarParser({
        entry: ({ path, kind, mode, uid, gid, linkPath, mtime, xattrs, size }) => {
          const seconds = String(mtime / 1_000_000_000n);
          lines.push(JSON.stringify([path, kind, mode, uid, gid, linkPath, seconds, [...xattrs], size]));
        },
        data: (chunk) => void lines.push(Buffer.from(chunk).toString()),
        end: () => undefined,
      });
      within(mounts, (target) => {
        for (const chunk of treeTar(target)) parser.push(chunk);
      });
      parser.finish();
      return lines;
    }

    const change = (root: string) => {
      appendFileSync(join(root, "etc/sub/c"), "more");
      rmSync(join(root, "etc/b"));
      rmSync(join(root, "var"), { recursive: true });
      rmSync(join(root, "opt"), { recursive: true });
      mkdirSync(join(root, "opt"));
      writeFileSync(join(root, "opt/y"), "again");
      mkdirSync(join(root, "new/dir"), { recursive: true });
      writeFileSync(join(root, "new/dir/file"), "n");
      linkSync(join(root, "new/dir/file"), join(root, "new/hard"));
      renameSync(join(root, "etc/a"), join(root, "etc/renamed"));
      rmSync(join(root, "link"));
      mkdirSync(join(root, "link"));
      utimesSync(join(root, "new/dir"), 1000, 2000);
      using tree = RootedDir.open(root);
      tree.mknod("new/null", S_IFCHR | 0o666, makedev(1, 3));
      tree.setXattr("new/dir/file", "user.note", Buffer.from("hi"));
      chmodSync(join(root, "new/dir/file"), 0o4711);
    };

    test("changes are listed as docker diff lists them", async () => {
      within(await snapshots.prepare("box", parent), change);
      expect(
        listChanges(snapshots.layout("box")).map(
          ({ kind, path }) => `${kind.charAt(0).toUpperCase()} ${path}`,
        ),
      ).toEqual([
        "C /etc",
        "D /etc/a",
        "D /etc/b",
        "A /etc/renamed",
        "C /etc/sub",
        "C /etc/sub/c",
        "C /link",
        "A /new",
        "A /new/dir",
        "A /new/dir/file",
        "A /new/hard",
        "A /new/null",
        "C /opt",
        "D /opt/x",
        "C /opt/y",
        "D /var",
      ]);
    });

    test("what the engine made for its mounts is no change, what the container put there is one", async () => {
      within(await snapshots.prepare("box", parent), (root) => {
        for (const dir of ["proc", "vol", "own"]) mkdirSync(join(root, dir));
        for (const file of ["etc/hosts", ".dockerenv", "vol/put", "own/x"])
          writeFileSync(join(root, file), "");
      });
      const ignored = new Set(["/proc", "/vol", "/etc/hosts", "/.dockerenv"]);
      const lines = listChanges(snapshots.layout("box"), { ignored }).map(
        ({ kind, path }) => `${kind} ${path}`,
      );
      expect(lines).toEqual(["added /own", "added /own/x", "added /vol", "added /vol/put"]);
      const names: string[] = [];
      const lister = new TarParser({
        entry: (entry) => void names.push(entry.path),
        data: () => undefined,
        end: () => undefined,
      });
      for await (const chunk of diffTar(snapshots.layout("box"), { ignored })) lister.push(chunk);
      expect(names).toEqual(["own/", "own/x", "vol/", "vol/put"]);
    });

    test("nothing done is no change, and a look at files is none either", async () => {
      within(await snapshots.prepare("box", parent), () => undefined);
      expect(listChanges(snapshots.layout("box"))).toEqual([]);
      const tar: Uint8Array[] = [];
      for await (const chunk of diffTar(snapshots.layout("box"))) tar.push(chunk);
      expect(Buffer.concat(tar).length).toBe(1024);
    });

    test("the tar of the changes, applied to the parent, gives the same tree", async () => {
      within(await snapshots.prepare("box", parent), change);
      const parts: Uint8Array[] = [];
      for await (const chunk of diffTar(snapshots.layout("box"))) parts.push(chunk);
      const tar = Buffer.concat(parts);
      const names: string[] = [];
      const lister = new TarParser({
        entry: (entry) => void names.push(entry.path),
        data: () => undefined,
        end: () => undefined,
      });
      lister.push(tar);
      expect(names).not.toContain("quiet/");
      expect(names).toContain("etc/.wh.b");
      await snapshots.prepare("copy", parent);
      const layout = snapshots.layout("copy");
      {
        process.umask(0);
        using applier = new LayerApplier(
          layout.kind === "overlay" ? layout : { kind: "tree", tree: layout.tree },
        );
        const parser = new TarParser(applier);
        parser.push(tar);
        parser.finish();
        applier.finish();
      }
      expect(contents(snapshots.mounts("copy"))).toEqual(contents(snapshots.mounts("box")));
      const again: Uint8Array[] = [];
      for await (const chunk of diffTar(snapshots.layout("box"))) again.push(chunk);
      expect(Buffer.concat(again).equals(tar)).toBe(true);
    });
  });
}
