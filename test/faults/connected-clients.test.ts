import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean(), 120_000);
afterAll(() => daemon.close(), 120_000);

/** Commands that are under way when the daemon goes, and the exit codes of the docker CLI against dockerd. */
const clients: readonly (readonly [code: number, ...args: string[]])[] = [
  [1, "logs", "-f", "talker"],
  [1, "attach", "--no-stdin", "talker"],
  [1, "attach", "reader"],
  [1, "wait", "talker"],
  [1, "events", "--since", "1"],
  [1, "stop", "-t", "1000", "deaf"],
  [255, "exec", "talker", "sh", "-c", "echo begun; sleep 1000"],
  [255, "exec", "-i", "reader", "sh", "-c", "echo begun; sleep 1000"],
  [125, "run", "--name", "front", "busybox", "sh", "-c", "echo begun; sleep 1000"],
  [125, "run", "-i", "--rm", "busybox", "sh", "-c", "echo begun; sleep 1000"],
];

/** What of these prints nothing while it waits; nor does who attaches to `reader`. */
const silent: ReadonlySet<string> = new Set(["wait", "stop"]);

/** Whether the process with that command line has a connected unix socket: proc(5), /proc/net/unix, state 03. */
function isConnected(command: readonly string[]): boolean {
  const connected = new Set(
    [...readFileSync("/proc/net/unix", "utf8").matchAll(/^\S+: \S+ \S+ \S+ \S+ 03 +(\d+)/gm)].map(
      (match) => `socket:[${match[1]}]`,
    ),
  );
  return processes()
    .filter((one) => one.command === command.join(" "))
    .some(({ pid }) => descriptors(pid).some((target) => connected.has(target)));
}

/** What a process has open; nothing when it ends while we look. */
function descriptors(pid: number): readonly string[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).map((name) => readlinkSync(join(directory, name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** A command: when it has begun to print (or ended), and how it ended. */
function view(command: readonly string[]) {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, DOCKER_HOST: daemon.host },
    timeout: 90_000,
  });
  const begun = Promise.withResolvers<void>();
  const drained = (async () => {
    for await (const _ of child.stdout) begun.resolve();
    begun.resolve();
  })();
  const ended = (async () => {
    const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited, drained]);
    return { code, stderr };
  })();
  return { begun: begun.promise, ended };
}

const killed = "died of SIGKILL";
const stopped = "was stopped";
const dockers = ["/usr/local/bin/docker", "/usr/bin/docker"].filter((path) => existsSync(path)).slice(0, 1);
if (dockers.length === 0) console.warn("the docker CLI is not installed: its part of the tests is left out");

for (const [cli, way] of [
  [tugBinary, killed],
  [tugBinary, stopped],
  ...dockers.map((path) => [path, killed] as const),
] as const) {
  test(`every client of ${cli === tugBinary ? "tug" : "docker"} that is connected ends with Docker's code when the daemon ${way}; containers go on`, async () => {
    const name = "talker";
    await daemon.ok([
      "run",
      "-d",
      "--name",
      name,
      "busybox",
      "sh",
      "-c",
      "while :; do echo tick; sleep 0.2; done",
    ]);
    await daemon.ok(["run", "-d", "-i", "--name", "reader", "busybox", "sh", "-c", "echo begun; cat"]);
    await daemon.ok(["run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; sleep 1000"]);
    // Docker's own `stats` of a named container never ends then: it is left out.
    const under = clients.map(([, ...args]) => ({ args, ...view([cli, ...args]) }));
    const shown = cli === tugBinary ? [["stats"], ["stats", name]] : [];
    const stats = shown.map((args) => view([cli, ...args]));
    for (const { begun } of stats) await begun;
    for (const { args, begun } of under)
      if (!silent.has(args[0] ?? "") && args.at(-1) !== "reader") await begun;
    await eventually(
      "all are connected",
      async () => {
        const events = await daemon.ok(["events", "--since", "1", "--until", "0s"]);
        return (
          (events.match(/exec_start/g) ?? []).length >= 2 &&
          (events.match(/ attach /g) ?? []).length >= 4 &&
          / kill .*signal=15/.test(events) &&
          (await daemon.ok(["ps", "-q"])).split("\n").length === 5
        );
      },
      30_000,
    );
    // What leaves no trace there (wait) is seen by its socket.
    await eventually(
      "all hold a connection",
      () => clients.every(([, ...args]) => isConnected([cli, ...args])),
      30_000,
    );
    const pid = await daemon.ok(["inspect", "-f", "{{.State.Pid}}", name]);
    const since = performance.now();
    if (way === killed) await daemon.crash();
    else expect(await daemon.stop()).toBe(0);
    const ended = await Promise.all(
      under.map(async ({ args, ended }) => [args.join(" "), await ended] as const),
    );
    const views = await Promise.all(stats.map(({ ended }) => ended));
    expect(performance.now() - since).toBeLessThan(20_000);
    const said = ended.map(([args, { stderr }]) => `${args}: ${stderr}`).join("\n");
    expect(
      ended.map(([args, { code }]) => `${code} ${args}`),
      said,
    ).toEqual(clients.map(([code, ...args]) => `${code} ${args.join(" ")}`));
    // Docker takes a restart of the daemon for the end of the view, not for a failure.
    expect(
      views.map(({ code }) => code),
      views.map(({ stderr }) => stderr).join("\n"),
    ).toEqual(shown.map(() => 0));
    if (way === killed)
      for (const { stderr } of views) expect(stderr).toContain("the daemon closed the connection");
    if (cli === tugBinary)
      for (const [args, { stderr }] of ended)
        expect(`${args}: ${stderr}`).toContain("the daemon closed the connection");
    await daemon.up();
    expect(await daemon.ok(["inspect", "-f", "{{.State.Pid}}", name])).toBe(pid);
    const ticks = async () => (await daemon.ok(["logs", name])).split("\n").length;
    const before = await ticks();
    await eventually("it still talks", async () => (await ticks()) > before);
  }, 120_000);
}
