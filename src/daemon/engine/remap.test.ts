import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../base/lib/log.ts";
import { openRemap, rangesOf } from "./remap.ts";

const base = mkdtempSync("/tmp/tug-remap-");
Bun.spawnSync(["chmod", "711", base]);
afterAll(() => rmSync(base, { recursive: true }));

const etc = join(base, "etc");
mkdirSync(etc);
writeFileSync(join(etc, "passwd"), "root:x:0:0::/root:/bin/sh\nada:x:1001:1001::/:/bin/sh\n");
writeFileSync(join(etc, "group"), "root:x:0:\nada:x:1001:\nstaff:x:50:\n");
writeFileSync(join(etc, "subuid"), "# who:first:count\nada:700000:1000\nbob:1:2\n1001:900000:500\n");
writeFileSync(join(etc, "subgid"), "ada:600000:1000\nstaff:500000:9\n");

const open = async (setting: string | undefined) => {
  const roots = { dataRoot: join(base, "data"), execRoot: join(base, "exec") };
  for (const path of Object.values(roots)) mkdirSync(path, { recursive: true });
  return await openRemap(setting, { ...roots, etc, log: silentLog });
};

test("the ranges of a name and of its number are laid one after the other", () => {
  expect(rangesOf(join(etc, "subuid"), "subuid", "ada", 1001)).toEqual([
    { containerID: 0, hostID: 700_000, size: 1000 },
    { containerID: 1000, hostID: 900_000, size: 500 },
  ]);
});

test("user and group may be told apart, by name or number", async () => {
  using remap = await open("1001:staff");
  expect(remap?.root).toEqual({ uid: 700_000, gid: 500_000 });
  expect(remap?.maps.gid).toEqual([{ containerID: 0, hostID: 500_000, size: 9 }]);
});

test("off, and root, mean no user namespaces", async () => {
  expect(await open(undefined)).toBeUndefined();
  expect(await open("root")).toBeUndefined();
});

test("an unknown account, one without ranges and a malformed setting are told", async () => {
  await expect(open("eve")).rejects.toThrow('error during "eve" lookup: no such user');
  await expect(open("ada:nobody")).rejects.toThrow('error during "nobody" lookup: no such group');
  await expect(open("ada:root")).rejects.toThrow('no subgid ranges found for group "root"');
  await expect(open("a:b:c")).rejects.toThrow("invalid user/group specification");
  writeFileSync(join(base, "torn"), "ada:x:1000\n");
  expect(() => rangesOf(join(base, "torn"), "subuid", "ada", 1001)).toThrow("Could not parse");
});

test("a data root that others cannot pass through is refused with the directory's name", async () => {
  const closed = join(base, "closed");
  mkdirSync(join(closed, "data"), { recursive: true });
  Bun.spawnSync(["chmod", "700", closed]);
  const opened = openRemap("ada", {
    dataRoot: join(closed, "data"),
    execRoot: join(base, "exec"),
    etc,
    log: silentLog,
  });
  await expect(opened).rejects.toThrow("restricts access to the remapped root uid/gid");
  expect(existsSync(join(closed, "data/containers"))).toBe(false);
});
