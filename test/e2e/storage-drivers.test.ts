import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LoopDisk } from "../../src/core/snapshot/testdata/loop-disk.ts";
import { eventually, run, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { mountPoints } from "../harness/machine.ts";

/** Each storage driver under a whole daemon: what users do with containers works alike on all of them. */
const noBtrfs = LoopDisk.missing("btrfs");
const noFuse = Bun.which("fuse-overlayfs") ? undefined : "fuse-overlayfs is not installed (Debian package)";
const drivers = [
  { name: "overlay2", missing: undefined },
  { name: "btrfs", missing: noBtrfs },
  { name: "fuse-overlayfs", missing: noFuse },
  { name: "vfs", missing: undefined },
] as const;
const scratch = mkdtempSync("/tmp/tug-e2e-drivers-");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Place {
  readonly daemon: TestDaemon;
  readonly close: () => Promise<void>;
}

async function start(driver: string): Promise<Place> {
  const disk = driver === "btrfs" ? LoopDisk.make("btrfs") : undefined;
  try {
    const daemon = await TestDaemon.start({
      ...(disk ? { root: join(disk.path, "t") } : {}),
      flags: ["--storage-driver", driver, "--bridge", "none"],
    });
    return {
      daemon,
      close: async () => {
        await daemon.close();
        disk?.close();
      },
    };
  } catch (error) {
    disk?.close();
    throw error;
  }
}

for (const { name, missing } of drivers) {
  if (missing) {
    console.log(`skipped: containers on ${name}: ${missing}`);
    continue;
  }
  describe(name, () => {
    test("containers run, change files, are looked at, committed and exported, also after the daemon was killed", async () => {
      const place = await start(name);
      const { daemon } = place;
      try {
        expect(await daemon.ok(["info", "--format", "{{.Driver}}"])).toBe(name);
        await tellsItsStory(daemon);
        await daemon.assertClean();
      } finally {
        await place.close();
      }
      expect(mountPoints().filter((path) => path.startsWith(daemon.root))).toEqual([]);
    }, 120_000);
  });
}

async function tellsItsStory(daemon: TestDaemon): Promise<void> {
  const fill = "mkdir -p /var/www/sub && echo old >/var/www/o";
  await daemon.ok(["run", "--name", "fill", "--network", "none", "busybox", "sh", "-c", fill]);
  await daemon.ok(["commit", "fill", "filled"]);
  await daemon.ok(["rm", "fill"]);
  const box = ["--network", "none", "filled", "sh", "-c"];
  const script =
    "rm /bin/vi && rm -r /var/www; mkdir /var/www && echo new >/var/www/n && echo more >>/etc/passwd && mkdir /d && ln -s /d /l && mknod /null c 1 3 && echo x >/null && chown 12:34 /d && touch /ready && sleep 1000";
  await daemon.ok(["run", "-d", "--name", "box", ...box, script]);
  const seen = () =>
    daemon.ok(["exec", "box", "sh", "-c", "ls /var/www; stat -c %u:%g /d; ls /bin/vi 2>&1 || true"]);
  await eventually("the container is in its root, and done", async () =>
    (await daemon.ok(["exec", "box", "ls", "/"])).includes("ready"),
  );
  const before = await seen();
  expect(before).toContain("n\n12:34");
  await daemon.crash();
  await daemon.up();
  expect(await seen()).toBe(before);
  writeFileSync(join(scratch, "given"), "given");
  await daemon.ok(["cp", join(scratch, "given"), "box:/d/given"]);
  await daemon.ok(["stop", "-t", "0", "box"]);
  await daemon.ok(["cp", join(scratch, "given"), "box:/d/later"]);
  await daemon.ok(["cp", "box:/var/www", join(scratch, "www")]);
  expect(readFileSync(join(scratch, "www/n"), "utf8")).toBe("new\n");
  rmSync(join(scratch, "www"), { recursive: true });
  const told = (await daemon.ok(["diff", "box"])).split("\n");
  for (const line of [
    "D /bin/vi",
    "D /var/www/o",
    "D /var/www/sub",
    "A /var/www/n",
    "C /etc/passwd",
    "A /d/given",
    "A /d/later",
    "A /l",
    "A /null",
  ])
    expect(told).toContain(line);
  expect(told.filter((line) => line.includes(".wh."))).toEqual([]);
  await daemon.ok(["export", "-o", join(scratch, "all.tar"), "box"]);
  const members = tarNames();
  expect(members).toContain("var/www/n");
  expect(members).not.toContain("bin/vi");
  expect(members).not.toContain("var/www/o");
  expect(members.filter((member) => member.includes(".wh."))).toEqual([]);
  await daemon.ok(["commit", "box", "kept"]);
  const check =
    "ls /bin/vi 2>/dev/null; cat /d/given /d/later /var/www/n; readlink /l; stat -c %u:%g /d; tail -1 /etc/passwd";
  const same = await daemon.ok(["run", "--rm", "--network", "none", "kept", "sh", "-c", check]);
  expect(same).toBe("givengivennew\n/d\n12:34\nmore");
  await daemon.ok(["start", "box"]);
  await daemon.ok(["rm", "-f", "box"]);
  await daemon.ok(["rmi", "kept", "filled"]);
}

function tarNames(): string[] {
  const { stdout } = Bun.spawnSync(["tar", "-tf", join(scratch, "all.tar")]);
  return stdout.toString().split("\n");
}

/** The last line that a daemon prints that does not start. */
async function refusal(...flags: string[]): Promise<string> {
  const other = mkdtempSync(join(scratch, "other-"));
  const result = await run([
    ...[tugBinary, "daemon", "--data-root", join(other, "d"), "--exec-root", join(other, "e")],
    ...["--config-file", "/dev/null", "-H", `unix://${other}/s`, ...flags],
  ]);
  expect(result.code).toBe(1);
  return result.stderr.trim().split("\n").at(-1) ?? "";
}

test("names that are retired, unknown or cannot be had here are refused with the way out", async () => {
  const prefix = "error initializing graphdriver: ";
  for (const name of ["overlay", "aufs"]) {
    expect(await refusal("-s", name)).toBe(
      `${prefix}[graphdriver] ERROR: the ${name} storage-driver has been deprecated and removed; visit https://docs.docker.com/go/storage-driver/ for more information: its successor is overlay2`,
    );
  }
  expect(await refusal("-s", "nosuch")).toBe(`${prefix}driver not supported: nosuch`);
  expect(await refusal("-s", "btrfs")).toContain(
    "prerequisites for driver not satisfied (wrong filesystem?)",
  );
  expect(await refusal("-s", "zfs")).toContain("--storage-opt zfs.fsname names no dataset");
  expect(await refusal("-s", "zfs", "--storage-opt", "zfs.fsname=nosuch/trees")).toMatch(
    /the program zfs was not found|prerequisites for driver not satisfied/,
  );
  expect(await refusal("-s", "devicemapper")).toContain("its successor in Docker is overlay2");
  expect(await refusal("-s", "devicemapper", "--storage-opt", "dm.thinpooldev=nosuch")).toMatch(
    /the program dmsetup was not found|device mapper cannot be used/,
  );
  expect(await refusal("-s", "overlay2", "--storage-opt", "overlay2.size=1g")).toContain("Project Quota");
  expect(await refusal("-s", "vfs", "--storage-opt", "size=1g")).toBe(
    `${prefix}failed to set option size for vfs: Filesystem does not support, or has not enabled quotas`,
  );
}, 120_000);

test("a data root without types of directory entries is refused for overlay in Docker's words, and taken by vfs", async () => {
  const disk = LoopDisk.make("ext4", { format: ["-O", "^filetype"] });
  try {
    const root = join(disk.path, "t");
    mkdirSync(root);
    const flags = ["--data-root", join(root, "data")];
    expect(await refusal("-s", "overlay2", ...flags)).toBe(
      "error initializing graphdriver: overlay2: the backing extfs filesystem is formatted without d_type support, which leads to incorrect behavior. Backing filesystems without d_type support are not supported.",
    );
    const daemon = await TestDaemon.start({ root, busybox: false, flags: ["--bridge", "none"] });
    expect(await daemon.ok(["info", "--format", "{{.Driver}}"])).toBe("vfs");
    await daemon.close();
  } finally {
    disk.close();
  }
}, 120_000);

test("a data root keeps its driver, and another one told by name brings the images with it", async () => {
  const root = mkdtempSync(join(scratch, "kept-"));
  const flags = ["--bridge", "none"];
  const first = await TestDaemon.start({ root, flags: [...flags, "-s", "vfs"] });
  await first.ok(["create", "--name", "old", "--network", "none", "busybox", "true"]);
  expect(await first.stop()).toBe(0);
  const automatic = await TestDaemon.start({ root, busybox: false, flags });
  expect(await automatic.ok(["info", "--format", "{{.Driver}}"])).toBe("vfs");
  await automatic.stop();
  const other = await TestDaemon.start({ root, busybox: false, flags: [...flags, "-s", "overlay2"] });
  try {
    await eventually("the log tells", () => other.log.includes("layers of another storage driver"));
    expect(await other.ok(["run", "--rm", "--network", "none", "busybox", "echo", "hello"])).toBe("hello");
    expect(await other.ok(["inspect", "-f", "{{.GraphDriver.Name}}", "old"])).toBe("vfs");
    const refused = await run([tugBinary, "-H", other.host, "start", "old"]);
    expect(refused.stderr).toContain("start the daemon with --storage-driver vfs");
    await other.ok(["rm", "old"]);
  } finally {
    await other.close();
  }
}, 120_000);

test("info tells driver and status as Docker does", async () => {
  const daemon = await TestDaemon.start({ busybox: false, flags: ["-s", "overlay2", "--bridge", "none"] });
  try {
    const lines = (await daemon.ok(["info"])).split("\n").map((line) => line.trim());
    const at = lines.indexOf("Storage Driver: overlay2");
    expect(lines.slice(at + 1, at + 6).map((line) => line.split(":")[0])).toEqual([
      "Backing Filesystem",
      "Supports d_type",
      "Using metacopy",
      "Native Overlay Diff",
      "userxattr",
    ]);
  } finally {
    await daemon.close();
  }
}, 120_000);

if (!noBtrfs) {
  test("a container on btrfs cannot write past its --storage-opt size", async () => {
    const place = await start("btrfs");
    try {
      const { stdout } = await run([
        ...[tugBinary, "-H", place.daemon.host, "run", "--rm", "--network", "none"],
        ...[
          "--storage-opt",
          "size=32m",
          "busybox",
          "sh",
          "-c",
          "dd if=/dev/zero of=/big bs=1M count=64 2>&1; sync",
        ],
      ]);
      expect(stdout).toContain("quota exceeded");
      await place.daemon.assertClean();
    } finally {
      await place.close();
    }
  }, 120_000);
}
