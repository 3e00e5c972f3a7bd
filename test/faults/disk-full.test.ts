import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";

/** A daemon whose data root is a file system of 48 MB. */
let daemon: TestDaemon;
let disk: string;
let filler: string;
beforeAll(async () => {
  disk = mkdtempSync("/tmp/tug-full-");
  const mounted = await run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", disk]);
  if (mounted.code !== 0) throw new Error(mounted.stderr);
  daemon = await TestDaemon.start({ root: join(disk, "root") });
  filler = join(disk, "filler");
}, 120_000);
afterEach(async () => {
  rmSync(filler, { force: true });
  await daemon.assertClean();
}, 120_000);
afterAll(async () => {
  await daemon.close();
  await run(["umount", disk]);
  rmSync(disk, { recursive: true, force: true });
});

const layers = () => readdirSync(join(daemon.dataRoot, "overlay2")).length;
const free = async () => Number((await run(["df", "-k", "--output=avail", disk])).stdout.split("\n")[1]);
/** As much is free as was before; what ends with a helper's process is free when that is gone. */
const given = (room: number) =>
  eventually("the space is given back", async () => Math.abs((await free()) - room) < 1000);
const fill = (leaveKilobytes: number) =>
  free().then((kilobytes) => run(["fallocate", "-l", `${kilobytes - leaveKilobytes}K`, filler]));

test("loading an image that does not fit says so and gives the space back", async () => {
  const outside = mkdtempSync("/tmp/tug-big-");
  try {
    mkdirSync(join(outside, "root"));
    writeFileSync(join(outside, "root/big"), Buffer.alloc(60_000_000, "x"));
    const tar = Bun.spawnSync(["tar", "-C", join(outside, "root"), "-cf", "-", "."]).stdout;
    const [before, room] = [layers(), await free()];
    const result = await daemon.tug(["import", "-", "big:1"], { input: tar });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("no space left on device");
    expect(layers()).toBe(before);
    await given(room);
    expect(await daemon.ok(["run", "--rm", "busybox", "echo", "still works"])).toBe("still works");
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
});

test("a build that does not fit says so, keeps nothing that nobody can remove, and works when there is room", async () => {
  using builds = new Builds(daemon);
  await daemon.ok(["builder", "prune", "-af"]);
  const before = layers();
  const step = "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=80\n";
  const written = await builds.classic({ Dockerfile: step });
  expect(`${written.text}${written.error}`).toMatch(/No space left on device/i);
  const copied = await builds.classic({
    Dockerfile: "FROM busybox\nCOPY big /a\nCOPY big /b\nCOPY big /c\n",
    big: crypto.getRandomValues(Buffer.alloc(65_536)).toString("latin1").repeat(200),
  });
  expect(copied.error).toMatch(/copy \/[abc]: no space left on device/);
  await daemon.ok(["builder", "prune", "-af"]);
  expect(layers()).toBe(before);
  const after = await builds.classic({ Dockerfile: "FROM busybox\nRUN echo room >/x\n" }, { t: "fits" });
  expect(after.error).toBeUndefined();
  expect(await daemon.ok(["run", "--rm", "fits", "cat", "/x"])).toBe("room");
  await daemon.ok(["rmi", "fits"]);
  await daemon.ok(["builder", "prune", "-af"]);
}, 120_000);

test("a context that does not fit names the file and the disk that is full, and nothing of it stays", async () => {
  const outside = mkdtempSync("/tmp/tug-big-");
  try {
    writeFileSync(join(outside, "Dockerfile"), "FROM busybox\nCOPY big /\n");
    writeFileSync(join(outside, "big"), Buffer.alloc(60_000_000, "x"));
    const room = await free();
    const result = await daemon.tug(["build", "--progress", "plain", outside]);
    expect(result.stderr).toMatch(
      new RegExp(`write ${daemon.dataRoot}/build/\\S+/big: no space left on device$`, "m"),
    );
    expect(result.code).toBe(102);
    await given(room);
    rmSync(join(outside, "big"));
    writeFileSync(join(outside, "big"), "small");
    expect((await daemon.tug(["build", "-q", "-t", "fits", outside])).code).toBe(0);
    await daemon.ok(["rmi", "fits"]);
    await daemon.ok(["builder", "prune", "-af"]);
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
}, 120_000);

test("a container that fills the disk gets ENOSPC; daemon and its other containers go on", async () => {
  await daemon.ok(["run", "-d", "--name", "bystander", "busybox", "sleep", "1000"]);
  const result = await daemon.tug([
    "run",
    "--name",
    "hog",
    "busybox",
    "sh",
    "-c",
    "dd if=/dev/zero of=/big bs=1M 2>&1; true",
  ]);
  expect(result.stdout + result.stderr).toContain("No space left on device");
  expect(await daemon.ok(["exec", "bystander", "echo", "here"])).toBe("here");
  await daemon.ok(["rm", "-f", "hog"]);
  expect(await daemon.ok(["run", "--rm", "busybox", "echo", "again"])).toBe("again");
});

test("with no space at all: refusals are clear, nothing half-made stays, and removing works", async () => {
  await daemon.ok(["run", "-d", "--name", "old", "busybox", "sleep", "1000"]);
  await fill(0);
  await run(["sh", "-c", `dd if=/dev/zero of=${filler}2 bs=4k 2>/dev/null; true`]);
  try {
    const result = await daemon.tug(["run", "--rm", "busybox", "echo", "x"]);
    if (result.code !== 0)
      expect(result.stderr).toMatch(/no space left on device|disk is full|database or disk is full/i);
    expect((await daemon.tug(["ps"])).code).toBe(0);
  } finally {
    rmSync(`${filler}2`, { force: true });
    rmSync(filler, { force: true });
  }
  expect(await daemon.ok(["exec", "old", "echo", "alive"])).toBe("alive");
  await daemon.ok(["rm", "-f", "old"]);
});
