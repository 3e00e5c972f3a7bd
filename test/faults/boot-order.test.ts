import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** What is ready says so where the next start finds nothing of it. */
const fresh = ["--tmpfs", "/state", "--health-cmd", "test -e /state/ready"];

/** Asserts that these events, the last of their kind, came in this order. */
async function assertOrder(...wanted: readonly string[]): Promise<void> {
  const format = "{{.Action}} {{.Actor.Attributes.name}}";
  const events = await daemon.ok(["events", "--since", "1", "--until", "0s", "--format", format]);
  const lines = events.split("\n");
  const told = [...wanted].sort((one, other) => lines.lastIndexOf(one) - lines.lastIndexOf(other));
  const missing = wanted.filter((line) => !lines.includes(line));
  expect({ told, missing }, events).toEqual({ told: [...wanted], missing: [] });
}

/** The daemon and every process of its containers die at once, as in a power cut. */
async function powerCut(names: readonly string[]): Promise<void> {
  const pids = await Promise.all(names.map((name) => daemon.ok(["inspect", "-f", "{{.State.Pid}}", name])));
  await daemon.crash();
  for (const pid of pids) process.kill(Number(pid), "SIGKILL");
  await eventually("the monitors recorded the ends", async () =>
    processes().every((one) => !(one.command.includes("conmon") && one.command.includes(daemon.root))),
  );
  await daemon.up();
}

test("a container waits at boot until what it depends on is healthy", async () => {
  const base = ["run", "-d", "--restart", "always"];
  await daemon.ok([
    ...base,
    "--name",
    "base",
    ...fresh,
    "--health-interval",
    "100ms",
    "busybox",
    "sh",
    "-c",
    "sleep 0.7; touch /state/ready; sleep 1000",
  ]);
  await daemon.ok([...base, "--name", "app", "--depends-on", "base:healthy", "busybox", "sleep", "1000"]);
  await powerCut(["base", "app"]);
  await eventually("both run again", async () => {
    const running = await daemon.ok(["ps", "--filter", "status=running", "--format", "{{.Names}}"]);
    return running.includes("app") && running.includes("base");
  });
  await assertOrder("start base", "health_status: healthy base", "start app");
});

test("a container that joins another's network starts after it, and is in the new network", async () => {
  await daemon.ok(["run", "-d", "--restart", "always", "--name", "owner", "busybox", "sleep", "1000"]);
  await daemon.ok([
    ...["run", "-d", "--restart", "always", "--name", "guest", "--network", "container:owner"],
    ...["busybox", "sleep", "1000"],
  ]);
  await powerCut(["guest", "owner"]);
  await eventually("both run again", async () => {
    return (await daemon.ok(["ps", "-q", "--filter", "status=running"])).split("\n").length === 2;
  });
  const netns = (name: string) => daemon.ok(["exec", name, "readlink", "/proc/self/ns/net"]);
  expect(await netns("guest")).toBe(await netns("owner"));
});

test("containers stopped or restarted by one command go down after what depends on them and come up before it", async () => {
  const script = "trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.05; done";
  const ready = `(sleep 0.3; touch /state/ready) & ${script}`;
  const health = [...fresh, "--health-interval", "50ms"];
  await daemon.ok(["run", "-d", "--name", "db", ...health, "busybox", "sh", "-c", ready]);
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "web",
    "--depends-on",
    "db:healthy",
    "busybox",
    "sh",
    "-c",
    script,
  ]);
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "side",
    "--network",
    "container:web",
    "busybox",
    "sh",
    "-c",
    script,
  ]);
  const time = async (name: string, which: "StartedAt" | "FinishedAt") =>
    Date.parse(await daemon.ok(["inspect", "-f", `{{.State.${which}}}`, name]));
  await daemon.ok(["restart", "db", "web", "side"]);
  const downs = [
    await time("side", "FinishedAt"),
    await time("web", "FinishedAt"),
    await time("db", "FinishedAt"),
  ];
  const ups = [
    await time("db", "StartedAt"),
    await time("web", "StartedAt"),
    await time("side", "StartedAt"),
  ];
  const moments = [...downs, ...ups];
  expect(moments).toEqual([...moments].sort((a, b) => a - b));
  await assertOrder("start db", "health_status: healthy db", "start web", "start side");
  await daemon.ok(["stop", "db", "side", "web"]);
  const ends = [
    await time("side", "FinishedAt"),
    await time("web", "FinishedAt"),
    await time("db", "FinishedAt"),
  ];
  expect(ends).toEqual([...ends].sort((a, b) => a - b));
  await daemon.ok(["start", "db", "web"]);
  await daemon.ok(["stop", "db"]);
  expect(await daemon.ok(["inspect", "-f", "{{.State.Running}}", "web"])).toBe("true");
});

test("a circle of dependencies is refused where it is closed, by create and by rename and start", async () => {
  await daemon.ok(["create", "--name", "one", "--depends-on", "two", "busybox", "true"]);
  const closing = await daemon.tug(["create", "--name", "two", "--depends-on", "one", "busybox", "true"]);
  expect([closing.code, closing.stderr]).toEqual([
    1,
    expect.stringContaining("dependency cycle detected: two -> one -> two"),
  ]);
  await daemon.ok(["create", "--name", "three", "--depends-on", "one", "busybox", "true"]);
  await daemon.ok(["rename", "three", "two"]);
  expect((await daemon.tug(["start", "one"])).stderr).toContain(
    "dependency cycle detected: one -> two -> one",
  );
});

test("a circle that a rename made holds up nothing at boot, stop or restart, wherever it is entered", async () => {
  const base = ["run", "-d", "--restart", "always"];
  const sleep = ["busybox", "sleep", "1000"];
  // Each of left and right waits for one of its own first, and only then for the other.
  for (const name of ["one", "two"]) await daemon.ok([...base, "--name", name, ...sleep]);
  const needs = (...names: string[]) => names.flatMap((name) => ["--depends-on", name]);
  await daemon.ok([...base, "--name", "left", ...needs("one", "right"), ...sleep]);
  await daemon.ok([...base, "--name", "straight", ...needs("two", "left"), ...sleep]);
  await daemon.ok([...base, "--name", "above", ...needs("left"), ...sleep]);
  await daemon.ok(["rename", "straight", "right"]);
  await powerCut(["one", "two", "left", "right", "above"]);
  const running = async () =>
    (await daemon.ok(["ps", "--filter", "status=running", "--format", "{{.Names}}"])).split("\n").sort();
  await eventually("all run again", async () => (await running()).length === 5, 30_000);
  await daemon.ok(["restart", "-t", "0", "left", "right", "above", "one", "two"]);
  expect((await running()).length).toBe(5);
  await daemon.ok(["stop", "-t", "0", "left", "right", "above", "one", "two"]);
  expect(await running()).toEqual([""]);
}, 120_000);
