import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { ShiftedClock } from "../harness/shifted-clock.ts";

const missing = ShiftedClock.missing();
if (missing) console.warn(`skipped: ${missing}`);

let clock: ShiftedClock;
let daemon: TestDaemon;
beforeAll(async () => {
  if (missing) return;
  clock = new ShiftedClock();
  daemon = await TestDaemon.start({ launcher: clock.launcher });
}, 120_000);
afterEach(() => (missing ? undefined : daemon.assertClean()), 120_000);
afterAll(async () => {
  if (missing) return;
  await daemon.close();
  clock[Symbol.dispose]();
}, 120_000);

const hour = 3600;
const seconds = async (work: Promise<unknown>) => {
  const since = performance.now();
  await work;
  return (performance.now() - since) / 1000;
};

for (const [direction, step] of [
  ["back", -hour],
  ["forward", hour],
] as const) {
  const stepIn = (ms: number) => Bun.sleep(ms).then(() => clock.set(step));

  test.skipIf(missing !== undefined)(
    `the clock steps an hour ${direction}: stop, health checks and back-off keep their times`,
    async () => {
      clock.set(0);
      await daemon.ok(["run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; sleep 1000"]);
      const health = ["--health-cmd", "cat /ok", "--health-interval", "100ms", "--health-retries", "1"];
      await daemon.ok(["run", "-d", "--name", "judged", ...health, "busybox", "sleep", "1000"]);
      await daemon.ok([
        ...["run", "-d", "--name", "young", ...health, "--health-start-period", "1000s"],
        ...["--health-start-interval", "100ms", "busybox", "sleep", "1000"],
      ]);
      await daemon.ok(["run", "-d", "--name", "fails", "--restart", "always", "busybox", "false"]);
      const restarts = async () => Number(await daemon.ok(["inspect", "-f", "{{.RestartCount}}", "fails"]));
      const judged = (name: string) => daemon.ok(["inspect", "-f", "{{.State.Health.Status}}", name]);
      await eventually("it was started again", async () => (await restarts()) > 0);
      const [took] = await Promise.all([seconds(daemon.ok(["stop", "-t", "2", "deaf"])), stepIn(500)]);
      expect(took).toBeGreaterThan(1.5);
      expect(took).toBeLessThan(20);
      const before = await restarts();
      await eventually("it is started again after the step", async () => (await restarts()) > before, 20_000);
      await eventually("it is judged", async () => (await judged("judged")) === "unhealthy");
      await daemon.ok(["exec", "judged", "touch", "/ok"]);
      await eventually("it is judged after the step", async () => (await judged("judged")) === "healthy");
      // In its start period still, whatever the clock says.
      const checks = async () =>
        (await daemon.ok(["inspect", "-f", "{{len .State.Health.Log}}", "young"])) === "5";
      await eventually("it was checked", checks);
      expect(await judged("young")).toBe("starting");
      await daemon.restart();
      await Bun.sleep(400);
      expect(await judged("young")).toBe("starting");
      expect(await daemon.ok(["ps", "--format", "{{.Names}} {{.Status}}"])).toMatch(
        /^young Up .*\(health: starting\)$/m,
      );
    },
    120_000,
  );

  test.skipIf(missing !== undefined)(
    `the clock steps an hour ${direction}: events go on in order, and readers end in their time`,
    async () => {
      clock.set(0);
      await daemon.ok([
        "run",
        "-d",
        "--name",
        "host",
        "busybox",
        "sh",
        "-c",
        "while :; do echo x; sleep 0.1; done",
      ]);
      const since = clock.now() / 1000 - 2 * hour;
      const until = (ahead: number) => (clock.now() / 1000 + ahead).toFixed(3);
      /** A reader that has got its first piece, so the daemon knows when it ends; the rest comes as it is said. */
      const reader = async (path: string) => {
        const reply = await fetch(`http://tug${path}`, {
          unix: daemon.socket,
          signal: AbortSignal.timeout(60_000),
        });
        const { promise: begun, resolve: begins } = Promise.withResolvers<void>();
        const text = (async () => {
          let said = "";
          for await (const piece of reply.body ?? []) {
            said += Buffer.from(piece).toString("latin1");
            begins();
          }
          begins();
          return said;
        })();
        await begun;
        return { text };
      };
      const began = performance.now();
      const readers = await Promise.all([
        reader(`/events?since=${since}&until=${until(2)}`),
        reader(`/containers/host/logs?stdout=1&follow=1&until=${until(2)}`),
      ]);
      clock.set(step);
      await Promise.all(readers.map(({ text }) => text));
      const took = (performance.now() - began) / 1000;
      expect(took).toBeGreaterThan(1.5);
      expect(took).toBeLessThan(30);
      const exec = (
        (await daemon.api("POST", "/containers/host/exec", { Cmd: ["sh", "-c", "exit 4"] })).body as {
          Id: string;
        }
      ).Id;
      await daemon.api("POST", `/exec/${exec}/start`, { Detach: true });
      const code = async () =>
        ((await daemon.api("GET", `/exec/${exec}/json`)).body as { ExitCode: number }).ExitCode;
      await eventually("the exec ended", async () => (await code()) === 4);
      clock.set(0);
      // A later create sweeps the execs that ended long ago: that was just now.
      await daemon.ok(["exec", "host", "true"]);
      clock.set(step);
      await daemon.ok(["exec", "host", "true"]);
      expect(await code()).toBe(4);
      await daemon.restart();
      await daemon.ok(["rm", "-f", "host"]);
      // Whatever was announced when: all of it lies before the later of the two times.
      clock.set(hour);
      const past = await reader(`/events?since=1&until=${until(0)}`);
      const lines = (await past.text).split("\n").filter(Boolean);
      const times = lines.map((line) => BigInt(/"timeNano":(\d+)/.exec(line)?.[1] ?? "0"));
      for (const [index, time] of times.entries())
        if (index > 0) expect(time > (times[index - 1] ?? 0n)).toBe(true);
      expect(times.length).toBeGreaterThan(5);
    },
    120_000,
  );
}
