import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** Until its trap stands, pid 1 of a container drops the signal (pid_namespaces(7)): it says when it does. */
const ready = (name: string) =>
  eventually(`${name} traps`, async () => (await daemon.ok(["logs", name])).endsWith("ready"), 30_000);
const state = (name: string, field = "Status") => daemon.ok(["inspect", "-f", `{{.State.${field}}}`, name]);

test("create, start, stop, start, restart, kill, rm: each does what it says and prints the name", async () => {
  const id = await daemon.ok([
    "create",
    "--name",
    "cc",
    "busybox",
    "sh",
    "-c",
    "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done",
  ]);
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(await state("cc")).toBe("created");
  expect(await daemon.ok(["start", "cc"])).toBe("cc");
  expect(await state("cc")).toBe("running");
  await ready("cc");
  expect(await daemon.ok(["stop", "cc"])).toBe("cc");
  expect(await state("cc")).toBe("exited");
  expect(await state("cc", "ExitCode")).toBe("7");
  expect(await daemon.ok(["start", "cc"])).toBe("cc");
  const before = await state("cc", "Pid");
  expect(await daemon.ok(["restart", "-t", "1", "cc"])).toBe("cc");
  expect(await state("cc", "Pid")).not.toBe(before);
  expect(await daemon.ok(["kill", "cc"])).toBe("cc");
  await eventually("killed", async () => (await state("cc")) === "exited");
  expect(await state("cc", "ExitCode")).toBe("137");
  expect(await daemon.ok(["rm", "cc"])).toBe("cc");
  // Of containers alone: one image or network in 256 has an id that begins with its name.
  expect(await daemon.tug(["container", "inspect", "cc"])).toMatchObject({ code: 1 });
});

test("stop sends the image's or the given signal, waits, then kills", async () => {
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "deaf",
    "--stop-timeout",
    "600",
    "busybox",
    "sh",
    "-c",
    "trap '' TERM; while :; do sleep 0.05; done",
  ]);
  const started = performance.now();
  // The container's own ten minutes, were they waited, would be more than a command may take here.
  await daemon.ok(["stop", "-t", "1", "deaf"]);
  expect(performance.now() - started).toBeGreaterThan(900);
  expect(await state("deaf", "ExitCode")).toBe("137");
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "usr",
    "--stop-signal",
    "USR1",
    "busybox",
    "sh",
    "-c",
    "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done",
  ]);
  await ready("usr");
  await daemon.ok(["stop", "usr"]);
  expect(await state("usr", "ExitCode")).toBe("3");
});

test("wait prints the exit code, also of a container that has ended", async () => {
  await daemon.ok(["run", "-d", "--name", "ww", "busybox", "sh", "-c", "sleep 0.2; exit 9"]);
  expect(await daemon.ok(["wait", "ww"])).toBe("9");
  expect(await daemon.ok(["wait", "ww"])).toBe("9");
});

test("rename, and the old name is free again", async () => {
  await daemon.ok(["create", "--name", "old", "busybox"]);
  await daemon.ok(["rename", "old", "new"]);
  expect(await daemon.ok(["ps", "-a", "--format", "{{.Names}}"])).toBe("new");
  await daemon.ok(["create", "--name", "old", "busybox"]);
  const clash = await daemon.tug(["rename", "old", "new"]);
  expect(clash.code).toBe(1);
  expect(clash.stderr).toContain("is already in use");
});

test("rm refuses a running container unless forced", async () => {
  await daemon.ok(["run", "-d", "--name", "busy", "busybox", "sleep", "1000"]);
  const refused = await daemon.tug(["rm", "busy"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /cannot remove container .*container is running: stop the container before removing or force remove/i,
  );
  expect(await daemon.ok(["rm", "-f", "busy"])).toBe("busy");
});

test("rm -f takes a container along that is being started in the same moment", async () => {
  for (let round = 0; round < 8; round++) {
    const id = await daemon.ok(["create", "--network", "none", "busybox", "sleep", "1000"]);
    const start = daemon.api("POST", `/containers/${id}/start`);
    await Bun.sleep(round * 2);
    const { status, body } = await daemon.api("DELETE", `/containers/${id}?force=1`);
    expect([status, body]).toEqual([204, ""]);
    // It was there in time or it was not: never half.
    expect([204, 404, 409, 500]).toContain((await start).status);
    expect(await daemon.ok(["ps", "-aq", "--no-trunc"])).not.toContain(id);
  }
});

test("ps shows names, commands, states and filters them", async () => {
  await daemon.ok(["run", "-d", "--name", "up", "--label", "tier=web", "busybox", "sleep", "1000"]);
  await daemon.tug(["run", "--name", "down", "busybox", "sh", "-c", "exit 3"]);
  expect(await daemon.ok(["ps", "--format", "{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}"])).toBe(
    'up|busybox|"sleep 1000"|running',
  );
  const all = (await daemon.ok(["ps", "-a", "--format", "{{.Names}} {{.Status}}"])).split("\n");
  expect(all[0]).toMatch(/^down Exited \(3\) .* ago$/);
  expect(all[1]).toMatch(/^up Up (Less than a second|\d+ seconds?)$/);
  const names = (...filter: string[]) =>
    daemon.ok(["ps", "-a", "--format", "{{.Names}}", ...filter.flatMap((f) => ["--filter", f])]);
  expect(await names("label=tier")).toBe("up");
  expect(await names("status=exited")).toBe("down");
  expect(await names("exited=3")).toBe("down");
  expect(await names("name=^u")).toBe("up");
  expect(await names("ancestor=busybox", "status=running")).toBe("up");
  expect((await daemon.tug(["ps", "--filter", "nosuch=1"])).stderr).toContain("invalid filter 'nosuch'");
  const head = (await daemon.ok(["ps"])).split("\n")[0] ?? "";
  expect(head.trimEnd()).toMatch(/^CONTAINER ID {3}IMAGE {5}COMMAND {8}CREATED +STATUS +PORTS {5}NAMES$/);
});

test("restart policies: on-failure counts, always comes back, unless-stopped stays stopped by hand", async () => {
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "flaky",
    "--restart",
    "on-failure:2",
    "busybox",
    "sh",
    "-c",
    "exit 1",
  ]);
  await eventually(
    "gave up",
    async () =>
      (await state("flaky")) === "exited" &&
      (await daemon.ok(["inspect", "-f", "{{.RestartCount}}", "flaky"])) === "2",
  );
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "phoenix",
    "--restart",
    "always",
    "busybox",
    "sh",
    "-c",
    "sleep 0.1",
  ]);
  await eventually(
    "restarted",
    async () => Number(await daemon.ok(["inspect", "-f", "{{.RestartCount}}", "phoenix"])) >= 2,
  );
  await daemon.ok(["stop", "-t", "0", "phoenix"]);
  expect(await state("phoenix")).toBe("exited");
  expect((await daemon.tug(["run", "--rm", "--restart", "always", "busybox"])).stderr).toContain(
    "onflicting options: cannot specify both --restart and --rm",
  );
});

test("pause freezes and unpause goes on", async () => {
  // What the container itself writes: of its output the monitor may still write when it is frozen.
  const directory = join(daemon.root, "counted");
  mkdirSync(directory);
  const count = () => readFileSync(join(directory, "count"), "utf8");
  const script = "i=0; while :; do i=$((i+1)); echo $i >/counted/count; sleep 0.01; done";
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "pp",
    "-v",
    `${directory}:/counted`,
    "busybox",
    "sh",
    "-c",
    script,
  ]);
  await eventually("it counts", () => existsSync(join(directory, "count")));
  await daemon.ok(["pause", "pp"]);
  expect(await state("pp")).toBe("paused");
  expect(await daemon.ok(["ps", "--format", "{{.Status}}"])).toContain("(Paused)");
  const first = count();
  await Bun.sleep(100);
  expect(count()).toBe(first);
  await daemon.ok(["unpause", "pp"]);
  await eventually("goes on", () => count() !== first);
});

test("top lists the container's processes by their host pids", async () => {
  await daemon.ok(["run", "-d", "--name", "tt", "busybox", "sleep", "1234"]);
  // A started container's init becomes the program a moment later, as with Docker.
  await eventually("it sleeps", async () => (await daemon.ok(["top", "tt"])).includes("sleep 1234"));
  const lines = (await daemon.ok(["top", "tt"])).split("\n");
  expect(lines[0]).toMatch(/^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
  expect(lines[1]).toContain("sleep 1234");
  expect(lines[1]?.split(/ +/)[1]).toBe(await state("tt", "Pid"));
  expect((await daemon.ok(["top", "tt", "-o", "pid,comm"])).split("\n")[1]).toMatch(/^\d+ +sleep$/);
});

test("what joins a container that its policy restarts comes back after it, and not before", async () => {
  const pidOf = async (name: string) => Number(await daemon.ok(["inspect", "-f", "{{.State.Pid}}", name]));
  const endBase = async () => {
    const pid = await pidOf("base");
    process.kill(pid, "SIGKILL");
    await eventually("base is back", async () => ![0, pid].includes(await pidOf("base")));
  };
  await daemon.ok(["run", "-d", "--name", "base", "--restart", "always", "busybox", "sleep", "1000"]);
  // Its back-off has grown by now; that of the one that joins it begins small.
  for (let time = 0; time < 3; time++) await endBase();
  await daemon.ok([
    ...["run", "-d", "--name", "joined", "--restart", "always", "--pid", "container:base"],
    ...["--network", "container:base", "busybox", "sleep", "1000"],
  ]);
  const before = await pidOf("joined");
  await endBase();
  await eventually("the other is, too", async () => ![0, before].includes(await pidOf("joined")));
  const format = "{{.State.Running}} {{.RestartCount}} {{.State.Error}}";
  expect(await daemon.ok(["inspect", "-f", format, "joined"])).toBe("true 1 ");
  expect(await daemon.ok(["exec", "joined", "readlink", "/proc/self/ns/net"])).toBe(
    await daemon.ok(["exec", "base", "readlink", "/proc/self/ns/net"]),
  );
  await daemon.ok(["rm", "-f", "joined", "base"]);
}, 120_000);

test("events tell the story in order, and --since tells it again after a daemon restart", async () => {
  const since = String(Date.now() / 1000);
  await daemon.ok(["run", "--rm", "--name", "story", "busybox", "true"]);
  const story = () =>
    daemon.ok([
      "events",
      "--since",
      since,
      "--until",
      String(Date.now() / 1000 + 1),
      "--filter",
      "type=container",
      "--format",
      "{{.Action}}",
    ]);
  const first = await story();
  expect(first.split("\n")).toEqual(["create", "attach", "start", "die", "destroy"]);
  await daemon.restart();
  expect(await story()).toBe(first);
});

test("version and info speak Docker's shapes", async () => {
  const version = JSON.parse(await daemon.ok(["version", "--format", "{{json .Server}}"]));
  expect(version.MinAPIVersion).toBe("1.24");
  const info = JSON.parse(await daemon.ok(["info", "--format", "{{json .}}"]));
  expect(info.Driver).toBe("overlay2");
  expect(info.DockerRootDir).toBe(daemon.dataRoot);
});
