import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import { openDatabase } from "../../base/store/database.ts";
import { AT_FDCWD, makedev, mknodat, S_IFCHR } from "../../base/sys/at.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import { getXattr, setXattr } from "../../base/sys/xattr.ts";
import { volumeContents } from "./contents.ts";
import { LocalVolumeDriver } from "./drivers/local/local.ts";
import { SqliteVolumeStore, type VolumeContents } from "./store.ts";
import { inTempDir } from "./testdata/temporary-directory.ts";

function open(root: string, contents: VolumeContents = volumeContents) {
  const database = openDatabase(join(root, "tug.db"));
  const local = new LocalVolumeDriver({ dataRoot: root, lookup: async (host) => host });
  const drivers = new Map([[local.name, local]]);
  return { database, store: new SqliteVolumeStore({ database, drivers, contents, clock: systemClock }) };
}

function withDir<T>(path: string, use: (fd: number) => T): T {
  using root = RootedDir.open(path);
  return use(root.fd);
}

test("a volume survives the daemon, and its references keep it", () =>
  inTempDir(async (root) => {
    const first = open(root);
    const made = await first.store.create({ name: "db", labels: { a: "1" } });
    expect(made.mountpoint).toBe(join(root, "volumes/db/_data"));
    first.store.reference("db", "c1");
    first.store.reference("db", "c1");
    first.database.close();
    const { store, database } = open(root);
    expect(store.get("db")).toEqual(made);
    expect(store.references("db")).toEqual(["c1"]);
    await expect(store.remove("db", { force: true })).rejects.toThrow("remove db: volume is in use - [c1]");
    store.release("db", "c1");
    await store.remove("db", { force: false });
    expect(store.list()).toEqual([]);
    await expect(store.remove("db", { force: false })).rejects.toThrow("get db: no such volume");
    await store.remove("db", { force: true });
    expect(() => store.reference("db", "c1")).toThrow("get db: no such volume");
    database.close();
  }));

test("creating twice gives the first one; another driver is a conflict", () =>
  inTempDir(async (root) => {
    const { store, database } = open(root);
    const one = await store.create({ name: "same", labels: { a: "1" } });
    expect(await store.create({ name: "same", labels: { b: "2" } })).toEqual(one);
    await expect(store.create({ name: "same", driver: "other" })).rejects.toThrow(
      "create same: driver 'local' already has volume 'same': volume name must be unique",
    );
    await expect(store.create({ name: "new", driver: "other" })).rejects.toThrow(
      'create new: error looking up volume plugin other: plugin "other" not found',
    );
    await expect(store.create({ name: "a" })).rejects.toThrow("create a: volume name is too short");
    database.close();
  }));

test("a volume without a name gets a random one and Docker's label", () =>
  inTempDir(async (root) => {
    const { store, database } = open(root);
    const volume = await store.create({ name: "" });
    expect(volume.name).toMatch(/^[0-9a-f]{64}$/);
    expect(volume.anonymous).toBe(true);
    expect(volume.labels).toEqual({ "com.docker.volume.anonymous": "" });
    database.close();
  }));

test("an empty volume takes the image's tree with owners, modes, times, links, devices and attributes", () =>
  inTempDir(async (root) => {
    const image = join(root, "image");
    const data = join(image, "var/data");
    mkdirSync(join(data, "sub"), { recursive: true });
    chmodSync(data, 0o1770);
    chownSync(data, 70, 71);
    writeFileSync(join(data, "sub/suid"), "x".repeat(10_000));
    chownSync(join(data, "sub/suid"), 5, 6);
    chmodSync(join(data, "sub/suid"), 0o4755);
    utimesSync(join(data, "sub/suid"), 1000, 2000);
    linkSync(join(data, "sub/suid"), join(data, "hard"));
    symlinkSync("/etc/passwd", join(data, "soft"));
    mknodat(AT_FDCWD, join(data, "null"), S_IFCHR | 0o666, makedev(1, 3));
    chmodSync(join(data, "null"), 0o666);
    // cap_net_bind_service, as of include/uapi/linux/capability.h.
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    withDir(join(data, "sub"), (fd) => {
      setXattr(fd, "suid", "user.note", Buffer.from("hi"));
      setXattr(fd, "suid", "security.capability", capability);
    });
    const { store, database } = open(root);
    await store.create({ name: "vol" });
    await store.populate("vol", image, "/var/data");
    const at = join(root, "volumes/vol/_data");
    expect([statSync(at).uid, statSync(at).gid, statSync(at).mode & 0o7777]).toEqual([70, 71, 0o1770]);
    const suid = statSync(join(at, "sub/suid"));
    expect([suid.uid, suid.gid, suid.mode & 0o7777, suid.mtimeMs]).toEqual([5, 6, 0o4755, 2_000_000]);
    expect(statSync(join(at, "hard")).ino).toBe(suid.ino);
    expect(readlinkSync(join(at, "soft"))).toBe("/etc/passwd");
    expect(lstatSync(join(at, "null")).rdev).toBe(lstatSync(join(data, "null")).rdev);
    expect(withDir(join(at, "sub"), (fd) => getXattr(fd, "suid", "user.note"))?.toString()).toBe("hi");
    expect(withDir(join(at, "sub"), (fd) => getXattr(fd, "suid", "security.capability"))).toEqual(capability);
    writeFileSync(join(data, "late"), "");
    await store.populate("vol", image, "/var/data");
    expect(readdirSync(at)).not.toContain("late");
    expect(await store.usage("vol")).toBeGreaterThan(10_000);
    database.close();
  }));

test("a mount point that is a link in the image leads to the image's data and never to the host's", () =>
  inTempDir(async (root) => {
    const image = join(root, "image");
    mkdirSync(join(image, "real"), { recursive: true });
    writeFileSync(join(image, "real/file"), "inside");
    mkdirSync(join(root, "secret"));
    writeFileSync(join(root, "secret/key"), "host");
    symlinkSync("/real", join(image, "abs"));
    symlinkSync(`../../../../../../../..${join(root, "secret")}`, join(image, "evil"));
    symlinkSync(join(root, "secret"), join(image, "evil2"));
    const { store, database } = open(root);
    for (const name of ["abs", "evil", "evil2", "none", "../../.."]) {
      const volume = await store.create({ name: "" });
      await store.populate(volume.name, image, `/${name}`);
      const names = readdirSync(volume.mountpoint);
      if (name === "abs") expect(names).toEqual(["file"]);
      else expect(names).not.toContain("key");
    }
    database.close();
  }));

test("a copy cut short by a crash is thrown away and made again", () =>
  inTempDir(async (root) => {
    const image = join(root, "image");
    mkdirSync(image);
    writeFileSync(join(image, "a"), "1");
    writeFileSync(join(image, "b"), "2");
    const dying = open(root, {
      ...volumeContents,
      copyUp: async (_root, _path, directory) => {
        writeFileSync(join(directory, "a"), "");
        throw new Error("killed");
      },
    });
    await dying.store.create({ name: "vol" });
    await expect(dying.store.populate("vol", image, "/")).rejects.toThrow("killed");
    dying.database.close();
    const { store, database } = open(root);
    await store.populate("vol", image, "/");
    const at = store.get("vol")?.mountpoint ?? "";
    expect(readdirSync(at).sort()).toEqual(["a", "b"]);
    expect(readFileSync(join(at, "a"), "utf8")).toBe("1");
    database.close();
  }));

test("a failed mount is named by its mount point", () =>
  inTempDir(async (root) => {
    const { store, database } = open(root);
    await store.create({ name: "bad", options: { type: "nosuchfs", device: "x" } });
    await expect(store.mount("bad", "c1")).rejects.toThrow(
      `error while mounting volume '${root}/volumes/bad/_data': failed to mount local volume: mount x:${root}/volumes/bad/_data: no such device`,
    );
    database.close();
  }));
