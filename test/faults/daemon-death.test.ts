import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, run, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { freePort } from "../harness/registry.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const state = (name: string, field = "Status") => daemon.ok(["inspect", "-f", `{{.State.${field}}}`, name]);

test("containers, their output and their published ports go on while the daemon is dead, and nothing is lost after", async () => {
  const port = freePort();
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "count",
    "busybox",
    "sh",
    "-c",
    "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done",
  ]);
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "web",
    "-p",
    `${port}:80`,
    "busybox",
    "sh",
    "-c",
    "echo alive >/index.html; exec httpd -f -h /",
  ]);
  await eventually(
    "web answers",
    async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok === true,
  );
  await daemon.crash();
  for (let i = 0; i < 20; i++)
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("alive\n");
  await Bun.sleep(300);
  await daemon.up();
  expect(await state("count")).toBe("running");
  const counted = async () => (await daemon.ok(["logs", "count"])).split("\n").map(Number);
  await eventually("it counts on", async () => (await counted()).length > 20, 30_000);
  await daemon.ok(["kill", "count"]);
  await daemon.ok(["wait", "count"]);
  const lines = await counted();
  expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => i));
});

test("names on a user-defined network resolve while the daemon is dead", async () => {
  await daemon.ok(["network", "create", "app"]);
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "server",
    "--network",
    "app",
    "busybox",
    "sh",
    "-c",
    "echo hello >/index.html; exec httpd -f -h /",
  ]);
  const asks = ["run", "--rm", "--network", "app", "busybox", "wget", "-qO-", "http://server/"];
  await eventually("the server answers", async () => (await daemon.tug(asks)).stdout === "hello\n");
  const script = "while :; do timeout 30 wget -qO- http://server/ && echo ok || echo lost; sleep 0.05; done";
  await daemon.ok(["run", "-d", "--name", "client", "--network", "app", "busybox", "sh", "-c", script]);
  await eventually("client talks", async () => (await daemon.ok(["logs", "client"])).includes("ok"));
  const said = async () =>
    (await daemon.ok(["logs", "client"])).split("\n").filter((line) => line === "ok" || line === "lost");
  const before = (await said()).length;
  await daemon.crash();
  await Bun.sleep(500);
  await daemon.up();
  await eventually("it talks on", async () => (await said()).length > before + 5, 30_000);
  await daemon.ok(["kill", "client"]);
  await daemon.ok(["wait", "client"]);
  expect(await said()).not.toContain("lost");
  expect(await daemon.ok(asks)).toBe("hello");
});

test("exit codes and times of containers that ended meanwhile are the real ones; restart policies catch up", async () => {
  const shared = join(daemon.root, "shared");
  mkdirSync(shared);
  const waits = (code: number, ...flags: string[]) =>
    daemon.ok([
      ...["run", "-d", "-v", `${shared}:/shared`, ...flags, "busybox"],
      ...["sh", "-c", `until test -e /shared/go; do sleep 0.05; done; exit ${code}`],
    ]);
  await waits(33, "--name", "ends");
  await waits(0, "--name", "again", "--restart", "always");
  await waits(0, "--name", "gone", "--rm");
  await daemon.crash();
  const died = Date.now();
  writeFileSync(join(shared, "go"), "");
  const states = join(daemon.execRoot, "containers");
  await eventually(
    "their monitors recorded the ends",
    () => [...new Bun.Glob("*/exit").scanSync(states)].length === 3,
    30_000,
  );
  const ended = Date.now();
  await daemon.up();
  expect(await state("ends")).toBe("exited");
  expect(await state("ends", "ExitCode")).toBe("33");
  const finished = Date.parse(await state("ends", "FinishedAt"));
  // Times of files come from a clock that ticks every few milliseconds.
  expect(finished).toBeGreaterThanOrEqual(died - 20);
  expect(finished).toBeLessThanOrEqual(ended);
  await eventually(
    "restarted",
    async () =>
      (await state("again")) === "running" ||
      Number(await daemon.ok(["inspect", "-f", "{{.RestartCount}}", "again"])) > 0,
  );
  await eventually("auto-removed", async () => (await daemon.tug(["inspect", "gone"])).code === 1);
});

test("kill -9 in the middle of many operations leaves a store that the next start repairs", async () => {
  for (let round = 0; round < 6; round++) {
    const operations = Array.from({ length: 6 }, (_, i) =>
      daemon
        .tug(["run", "-d", "--name", `r${round}-${i}`, "-v", "/anon", "busybox", "sleep", "1000"])
        .catch(() => undefined),
    );
    await Bun.sleep(10 + round * 25);
    await daemon.crash();
    await Promise.all(operations);
    await daemon.up();
    const names = (await daemon.ok(["ps", "-a", "--format", "{{.Names}} {{.State}}"]))
      .split("\n")
      .filter(Boolean);
    for (const line of names) expect(line).toMatch(/^r\d-\d (created|running|exited)$/);
    for (const line of names) {
      const [name = "", status] = line.split(" ");
      await daemon.ok(status === "running" ? ["exec", name, "true"] : ["start", name]);
    }
    await daemon.assertClean();
  }
  expect(readdirSync(join(daemon.dataRoot, "containers"))).toEqual([]);
}, 120_000);

test("kill -9 in the middle of stop and rm", async () => {
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 4; i++) await daemon.ok(["run", "-d", "--name", `s${i}`, "busybox", "sleep", "1000"]);
    const operations = [0, 1, 2, 3].map((i) => daemon.tug(["rm", "-f", `s${i}`]).catch(() => undefined));
    await Bun.sleep(5 + round * 15);
    await daemon.crash();
    await Promise.all(operations);
    await daemon.up();
    await daemon.assertClean();
  }
}, 120_000);

test("kill -9 in the middle of load, then load again", async () => {
  const tar = join(daemon.root, "image.tar");
  await daemon.ok(["tag", "busybox", "loaded:1"]);
  const archive = Bun.spawnSync([
    "bash",
    "-c",
    `d=$(mktemp -d); mkdir $d/x; for i in $(seq 200); do head -c 20000 /dev/urandom >$d/x/$i; done; cp /bin/busybox $d/x; tar -C $d -cf - .; rm -rf $d`,
  ]).stdout;
  await daemon.ok(["import", "-", "fresh:1"], { input: archive });
  await daemon.ok(["save", "-o", tar, "fresh:1"]);
  await daemon.ok(["rmi", "fresh:1", "loaded:1"]);
  const layers = readdirSync(join(daemon.dataRoot, "overlay2")).length;
  for (const delay of [5, 20, 40, 80]) {
    const load = daemon.tug(["load", "-i", tar]).catch(() => undefined);
    await Bun.sleep(delay);
    await daemon.crash();
    await load;
    await daemon.up();
    if ((await daemon.tug(["image", "inspect", "fresh:1"])).code === 0) await daemon.ok(["rmi", "fresh:1"]);
    expect(readdirSync(join(daemon.dataRoot, "overlay2")).length).toBe(layers);
  }
  expect(await daemon.ok(["load", "-i", tar])).toContain("Loaded image: fresh:1");
  await daemon.ok(["rmi", "fresh:1"]);
}, 120_000);

test("SIGTERM ends the daemon cleanly and leaves containers running", async () => {
  await daemon.ok(["run", "-d", "--name", "stays", "busybox", "sleep", "1000"]);
  const pid = await state("stays", "Pid");
  expect(await daemon.stop()).toBe(0);
  expect(process.kill(Number(pid), 0)).toBe(true);
  await daemon.up();
  expect(await state("stays", "Pid")).toBe(pid);
});

test("a second daemon on the same data root is refused", async () => {
  const second = await run(
    [
      tugBinary,
      "daemon",
      "--data-root",
      daemon.dataRoot,
      "--exec-root",
      join(daemon.root, "exec2"),
      "--pidfile",
      join(daemon.root, "pid2"),
      "-H",
      `unix://${join(daemon.root, "second.sock")}`,
    ],
    { timeout: 60_000 },
  );
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(daemon.dataRoot) });
});
