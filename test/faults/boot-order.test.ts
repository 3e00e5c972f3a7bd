import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 30_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const startedAt = async (name: string) =>
  Date.parse(await daemon.ok(["inspect", "-f", "{{.State.StartedAt}}", name]));

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
    "--health-cmd",
    "test -e /tmp/ready",
    "--health-interval",
    "100ms",
    "busybox",
    "sh",
    "-c",
    "rm -f /tmp/ready; sleep 0.7; touch /tmp/ready; sleep 1000",
  ]);
  await daemon.ok([...base, "--name", "app", "--depends-on", "base:healthy", "busybox", "sleep", "1000"]);
  await powerCut(["base", "app"]);
  await eventually("both run again", async () => {
    const running = await daemon.ok(["ps", "--filter", "status=running", "--format", "{{.Names}}"]);
    return running.includes("app") && running.includes("base");
  });
  expect((await startedAt("app")) - (await startedAt("base"))).toBeGreaterThan(600);
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
