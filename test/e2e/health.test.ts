import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { gate } from "../harness/gate.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

interface Health {
  readonly Status: string;
  readonly FailingStreak: number;
  readonly Log: readonly { readonly ExitCode: number; readonly Output: string }[];
}

const health = async (name: string) =>
  JSON.parse(await daemon.ok(["inspect", "-f", "{{json .State.Health}}", name])) as Health | null;
const becomes = (name: string, status: string) =>
  eventually(`${name} is ${status}`, async () => (await health(name))?.Status === status);
const checked = (name: string, command: string, ...flags: string[]) =>
  daemon.ok([
    ...[
      "run",
      "-d",
      "--name",
      name,
      "--network",
      "none",
      "--health-interval",
      "100ms",
      "--health-cmd",
      command,
    ],
    ...flags,
    ...["busybox", "sleep", "1000"],
  ]);

test("a check tells starting, healthy and unhealthy, in inspect, ps and events", async () => {
  const since = new Date().toISOString();
  await checked("cc", "cat /ok", "--health-retries", "2");
  expect((await health("cc"))?.Status).toMatch(/starting|unhealthy/);
  await becomes("cc", "unhealthy");
  expect((await health("cc"))?.FailingStreak).toBeGreaterThanOrEqual(2);
  expect((await health("cc"))?.Log[0]).toMatchObject({
    ExitCode: 1,
    Output: expect.stringContaining("can't open"),
  });
  expect(await daemon.ok(["ps", "--format", "{{.Status}}"])).toEndWith("(unhealthy)");
  await daemon.ok(["exec", "cc", "touch", "/ok"]);
  await becomes("cc", "healthy");
  expect(await health("cc")).toMatchObject({ FailingStreak: 0 });
  expect(await daemon.ok(["ps", "--format", "{{.Status}}", "--filter", "health=healthy"])).toEndWith(
    "(healthy)",
  );
  await eventually("five results are kept", async () => (await health("cc"))?.Log.length === 5);
  const until = new Date().toISOString();
  const events = await daemon.ok(["events", "--since", since, "--until", until, "--format", "{{.Action}}"]);
  const actions = events.split("\n");
  expect(actions.filter((action) => action.startsWith("health_status"))).toEqual([
    "health_status: unhealthy",
    "health_status: healthy",
  ]);
  for (const action of ["exec_create: /bin/sh -c cat /ok", "exec_start: /bin/sh -c cat /ok", "exec_die"]) {
    expect(actions).toContain(action);
  }
});

test("a check that hangs is ended at its timeout, children that hold its output included", async () => {
  await checked("hang", "echo begun; sleep 1000", "--health-timeout", "200ms", "--health-retries", "1");
  await checked("heir", "sleep 1000 & exit 0", "--health-timeout", "200ms", "--health-retries", "1");
  await becomes("hang", "unhealthy");
  const log = (await health("hang"))?.Log[0];
  expect(log?.ExitCode).toBe(-1);
  expect(log?.Output).toStartWith("Health check exceeded timeout (200ms)");
  await eventually("both go on being checked", async () => {
    const [one, two] = [await health("hang"), await health("heir")];
    return (one?.Log.length ?? 0) >= 2 && (two?.Log.length ?? 0) >= 2;
  });
}, 120_000);

test("output is kept up to 4096 bytes, and many checks leave no exec behind", async () => {
  await checked("cc", "head -c 100000 /dev/zero | tr '\\0' x");
  await becomes("cc", "healthy");
  expect((await health("cc"))?.Log[0]?.Output).toHaveLength(4096);
  await eventually("five checks", async () => (await health("cc"))?.Log.length === 5);
  await eventually(
    "no exec is under way",
    async () => (await daemon.ok(["inspect", "-f", "{{json .ExecIDs}}", "cc"])) === "null",
  );
});

test("the start period forgives, an image's check is inherited, --no-healthcheck takes it away", async () => {
  await checked("young", "false", "--health-start-period", "1h", "--health-retries", "1");
  await eventually("it was checked", async () => ((await health("young"))?.Log.length ?? 0) >= 2);
  expect(await health("young")).toMatchObject({ Status: "starting", FailingStreak: 0 });
  await daemon.ok(["commit", "-c", "HEALTHCHECK --interval=100ms CMD true", "young", "withcheck"]);
  await daemon.ok(["run", "-d", "--name", "heir", "--network", "none", "withcheck", "sleep", "1000"]);
  await becomes("heir", "healthy");
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "none",
    "--network",
    "none",
    "--no-healthcheck",
    "withcheck",
    "sleep",
    "1000",
  ]);
  expect(await daemon.ok(["inspect", "-f", "{{json .State}}", "none"])).not.toContain("Health");
  await daemon.ok(["rm", "-f", "young", "heir", "none"]);
  await daemon.ok(["rmi", "withcheck"]);
});

test("checks stop with the container, pause with it, and go on in the next daemon", async () => {
  await checked("cc", "date +%s%N >>/log");
  await becomes("cc", "healthy");
  await daemon.crash();
  await daemon.up();
  const count = async () => Number(await daemon.ok(["exec", "cc", "sh", "-c", "wc -l </log"]));
  const before = await count();
  await eventually("checked by the new daemon", async () => (await count()) > before);
  await daemon.ok(["pause", "cc"]);
  expect(await daemon.ok(["ps", "--format", "{{.Status}}"])).toContain("Paused");
  await daemon.ok(["unpause", "cc"]);
  const paused = await count();
  await eventually("checked again", async () => (await count()) > paused);
  await daemon.ok(["stop", "-t", "0", "cc"]);
  expect((await health("cc"))?.Status).toBe("unhealthy");
  await daemon.ok(["start", "cc"]);
  await becomes("cc", "healthy");
});

test("--health-on-failure stops, kills or restarts what is unhealthy", async () => {
  // From outside: a command in the container might be ended with it, before it has said that it is done.
  const go = gate(daemon, "bad");
  const failing = (name: string, action: string, ...flags: string[]) =>
    checked(
      name,
      "test ! -e /go/bad",
      "--health-retries",
      "1",
      "--health-on-failure",
      action,
      "-t",
      "--init",
      ...go.flags,
      ...flags,
    );
  await failing("stopped", "stop", "--restart", "always");
  await failing("killed", "kill");
  await failing("policy", "kill", "--restart", "on-failure");
  await failing("again", "restart");
  await failing("left", "none");
  for (const name of ["stopped", "killed", "policy", "again", "left"]) await becomes(name, "healthy");
  go.open("bad");
  const state = (name: string, field: string) => daemon.ok(["inspect", "-f", `{{.State.${field}}}`, name]);
  const restarts = async (name: string) =>
    Number(await daemon.ok(["inspect", "-f", "{{.RestartCount}}", name]));
  await eventually("stop stops for good", async () => (await state("stopped", "Status")) === "exited");
  await eventually("kill kills", async () => (await state("killed", "ExitCode")) === "137");
  await eventually("the policy brings it back", async () => (await restarts("policy")) >= 2);
  await eventually("restart restarts, again and again", async () => (await restarts("again")) >= 2);
  expect(await state("killed", "Status")).toBe("exited");
  expect(await state("stopped", "Status")).toBe("exited");
  await becomes("left", "unhealthy");
  expect(await state("left", "Status")).toBe("running");
  await daemon.ok(["stop", "-t", "0", "again"]);
  expect(await state("again", "Status")).toBe("exited");
  const refused = await daemon.tug([
    "create",
    "--health-cmd",
    "true",
    "--health-on-failure",
    "explode",
    "busybox",
  ]);
  expect(refused.code).not.toBe(0);
}, 120_000);

test("a check whose time is over before its process is there is ended all the same", async () => {
  await checked("brief", "sleep 1000", "--health-timeout", "1ms", "--health-retries", "2");
  await becomes("brief", "unhealthy");
  expect((await health("brief"))?.Log[0]?.Output).toStartWith("Health check exceeded timeout (1ms)");
  await eventually("no check is left running", async () => {
    const processes = await daemon.ok(["top", "brief", "-o", "pid,args"]);
    return (processes.match(/sleep 1000/g)?.length ?? 0) <= 3;
  });
}, 120_000);
