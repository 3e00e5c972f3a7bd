import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readMountInfo } from "../../../../base/sys/mount/mountinfo.ts";
import { inTempDir } from "../../testdata/temporary-directory.ts";
import type { Volume } from "../../volume.ts";
import { LocalVolumeDriver } from "./local.ts";

const lookup = async (host: string) =>
  host === "localhost" ? "127.0.0.1" : Promise.reject(new Error(`no ${host}`));
const open = (dataRoot: string) => new LocalVolumeDriver({ dataRoot, lookup });
const mounted = (path: string) => readMountInfo().filter((mount) => mount.mountpoint === path).length;

test("a plain volume is a directory that only root can reach", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    await driver.create("data", {});
    expect(statSync(join(root, "volumes")).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, "volumes", "data")).mode & 0o777).toBe(0o700);
    expect(statSync(driver.path("data")).mode & 0o777).toBe(0o755);
    writeFileSync(join(await driver.mount("data", "c1"), "x"), "1");
    await driver.unmount("data", "c1");
    await driver.remove("data");
    expect(readdirSync(join(root, "volumes"))).toEqual([]);
    await driver.remove("data");
  }));

test("names that are no plain file name are refused in Docker's words", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    await expect(driver.create("a", {})).rejects.toThrow(
      "volume name is too short, names should be at least two alphanumeric characters",
    );
    for (const name of ["../x", "a/b", ".hidden", "x y", "", "a\n"]) {
      await expect(driver.create(name, {})).rejects.toThrow(
        'includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
      );
    }
    expect(existsSync(join(root, "x"))).toBe(false);
  }));

test("options are checked in Docker's words", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    await expect(driver.create("v1", { colour: "red" })).rejects.toThrow('invalid option: "colour"');
    await expect(driver.create("v1", { type: "tmpfs" })).rejects.toThrow('missing required option: "device"');
    await expect(driver.create("v1", { o: "ro", device: "x" })).rejects.toThrow(
      'missing required option: "type"',
    );
    await expect(driver.create("v1", { size: "10m" })).rejects.toThrow(
      "quota size requested but no quota support",
    );
  }));

test("a tmpfs volume is mounted for its first holder and unmounted after its last, across driver instances", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    await driver.create("ram", { type: "tmpfs", device: "tmpfs", o: "size=1m,mode=0750,nosuid" });
    expect(mounted(driver.path("ram"))).toBe(0);
    const path = await driver.mount("ram", "c1");
    expect(await open(root).mount("ram", "c2")).toBe(path);
    expect(mounted(path)).toBe(1);
    expect(statSync(path).mode & 0o777).toBe(0o750);
    await open(root).unmount("ram", "c1");
    expect(mounted(path)).toBe(1);
    await open(root).unmount("ram", "c2");
    expect(mounted(path)).toBe(0);
    await driver.remove("ram");
  }));

test("a bind volume shows the directory it names, and removing it leaves that alone", () =>
  inTempDir(async (root) => {
    mkdirSync(join(root, "outside"));
    writeFileSync(join(root, "outside", "keep"), "1");
    const driver = open(root);
    await driver.create("bound", { type: "none", device: join(root, "outside"), o: "bind" });
    expect(readdirSync(await driver.mount("bound", "c1"))).toEqual(["keep"]);
    await driver.remove("bound");
    expect(mounted(driver.path("bound"))).toBe(0);
    expect(readdirSync(join(root, "outside"))).toEqual(["keep"]);
  }));

test("a mount that fails says what, where and how", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    await driver.create("lost", { type: "none", device: "/nonexistent/dir", o: "bind" });
    await expect(driver.mount("lost", "c1")).rejects.toThrow(
      `failed to mount local volume: mount /nonexistent/dir:${driver.path("lost")}, flags: 0x1000: no such file or directory`,
    );
    await driver.create("share", { type: "nfs", device: ":/x", o: "addr=nowhere.invalid,rw" });
    await expect(driver.mount("share", "c1")).rejects.toThrow(
      "error resolving passed in network volume address: no nowhere.invalid",
    );
  }));

test("a removal that a crash cut short is ended by the next daemon", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    mkdirSync(join(root, "volumes", ".removing-old", "_data"), { recursive: true });
    for (const name of ["kept", "used", "gone"]) await driver.create(name, {});
    rmSync(join(root, "volumes", "used"), { recursive: true });
    rmSync(join(root, "volumes", "gone"), { recursive: true });
    const removed: string[] = [];
    await driver.recover({
      list: () => ["kept", "used", "gone"].map((name) => ({ name, driver: "local", options: {} }) as Volume),
      references: (name) => (name === "used" ? ["c1"] : []),
      remove: async (name) => void removed.push(name),
    });
    // One that containers use is made anew, so that they find it empty and not missing.
    expect(readdirSync(join(root, "volumes")).sort()).toEqual(["kept", "used"]);
    expect(removed).toEqual(["gone"]);
  }));

test("a creation that a crash cut short is undone, but data without a record stays", () =>
  inTempDir(async (root) => {
    const driver = open(root);
    await driver.create("half", {});
    await driver.create("mounted", { type: "tmpfs", device: "tmpfs" });
    await driver.create("full", {});
    writeFileSync(join(driver.path("full"), "data"), "");
    await driver.recover({ list: () => [], references: () => [], remove: async () => undefined });
    expect(readdirSync(join(root, "volumes"))).toEqual(["full"]);
  }));
