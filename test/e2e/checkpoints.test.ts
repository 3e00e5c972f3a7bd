import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";

/** What CRIU says of this kernel decides which half of the tests can be run. */
const criuWorks = Bun.which("criu") !== null && Bun.spawnSync(["criu", "check"]).exitCode === 0;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const counter = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done";

test.skipIf(!criuWorks)("a container goes on counting where its checkpoint was taken", async () => {
  await daemon.ok(["run", "-d", "--runtime", "runc", "--name", "count", "busybox", "sh", "-c", counter]);
  await eventually("it counts", async () => (await daemon.ok(["logs", "count"])).split("\n").length > 3);
  await daemon.ok(["checkpoint", "create", "count", "one"]);
  expect(await daemon.ok(["checkpoint", "ls", "count"])).toContain("one");
  expect(await daemon.ok(["inspect", "-f", "{{.State.Running}}", "count"])).toBe("false");
  const before = Number((await daemon.ok(["logs", "count"])).split("\n").at(-1));
  await daemon.ok(["start", "--checkpoint", "one", "count"]);
  await eventually("it counts on", async () => {
    return Number((await daemon.ok(["logs", "count"])).split("\n").at(-1)) > before;
  });
  const counted = (await daemon.ok(["logs", "count"])).split("\n").map(Number);
  expect(counted).toEqual(counted.map((_, at) => at + 1));
  await daemon.ok(["checkpoint", "rm", "count", "one"]);
  expect(await daemon.ok(["checkpoint", "ls", "count"])).not.toContain("one");
});

test.skipIf(criuWorks || Bun.which("criu") === null)(
  "where CRIU cannot work its own reason is told, and the container runs on",
  async () => {
    await daemon.ok(["run", "-d", "--runtime", "runc", "--name", "plain", "busybox", "sleep", "1000"]);
    const failed = await daemon.tug(["checkpoint", "create", "plain", "one"]);
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining("Cannot checkpoint container")]);
    expect(failed.stderr).toContain("criu: ");
    expect(failed.stderr).not.toContain("log file");
    expect(await daemon.ok(["inspect", "-f", "{{.State.Running}}", "plain"])).toBe("true");
    expect(await daemon.ok(["checkpoint", "ls", "-q", "plain"]).catch(() => "")).toBe("");
  },
);

test("a checkpoint is restored only from plain files that root alone can write", async () => {
  await daemon.ok(["create", "--name", "victim", "busybox", "sleep", "1000"]);
  const directory = join(daemon.root, "from-elsewhere");
  const image = (name: string, mode = 0o700) => {
    mkdirSync(join(directory, name), { recursive: true, mode });
    return join(directory, name);
  };
  const start = (name: string) =>
    daemon.tug(["start", "--checkpoint", name, "--checkpoint-dir", directory, "victim"]);
  symlinkSync("/etc/passwd", join(image("linked"), "restore.log"));
  expect((await start("linked")).stderr).toContain("restore.log is not a plain file");
  writeFileSync(join(image("loose"), "core-1.img"), "", { mode: 0o666 });
  Bun.spawnSync(["chmod", "666", join(directory, "loose/core-1.img")]);
  expect((await start("loose")).stderr).toContain("can be written by others than root");
  symlinkSync(image("real"), join(directory, "alias"));
  expect((await start("alias")).stderr).toContain("is not a plain directory");
  expect((await start("../../../etc")).stderr).toContain("Invalid checkpoint ID (../../../etc)");
  expect((await start("nosuch")).stderr).toContain("checkpoint nosuch does not exist for container victim");
  expect(existsSync("/etc/passwd")).toBe(true);
});
