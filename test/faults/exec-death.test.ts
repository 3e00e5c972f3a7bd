import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { directoriesIn } from "../harness/leftovers.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  const root = mkdtempSync("/tmp/tug-e2e-");
  // A runtime that starts an exec a second after the daemon has died.
  const slow = join(root, "slow");
  const late = `daemon=/proc/$(cat ${root}/pid); while [ -d $daemon ]; do sleep 0.05; done; sleep 1`;
  writeFileSync(slow, `#!/bin/sh\ncase "$*" in *" exec "*) ${late};; esac\nexec runc "$@"\n`, {
    mode: 0o755,
  });
  daemon = await TestDaemon.start({ root, config: { runtimes: { slow: { path: slow } } } });
}, 120_000);
afterEach(() => daemon.assertClean(), 120_000);
afterAll(() => daemon.close(), 120_000);

const post = async (path: string, body: unknown) => {
  const { status, body: reply } = await daemon.api("POST", path, body);
  if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(reply)}`);
  return reply as { readonly Id: string };
};

/** Starts a detached exec through the API, which tells its id. */
async function detached(container: string, ...command: string[]): Promise<string> {
  const { Id } = await post(`/containers/${container}/exec`, { Cmd: command });
  await post(`/exec/${Id}/start`, { Detach: true });
  return Id;
}

const inspect = async (id: string) =>
  (await daemon.api("GET", `/exec/${id}/json`)).body as {
    readonly Running: boolean;
    readonly ExitCode: number | null;
    readonly Pid: number;
    readonly ProcessConfig: { readonly entrypoint: string };
  };

function directories(): string[] {
  const containers = join(daemon.execRoot, "containers");
  return directoriesIn(containers).flatMap((id) => directoriesIn(join(containers, id, "exec")));
}

/** Whether the monitor of a container or an exec has written down how it ended. */
const recorded = (file: string) =>
  [...new Bun.Glob(file).scanSync(join(daemon.execRoot, "containers"))].length === 1;

test("an exec that runs while the daemon dies is answered for by the next one, and its files go when it ends", async () => {
  const host = await daemon.ok(["run", "-d", "--name", "host", "busybox", "sleep", "1000"]);
  const waits = await detached("host", "sh", "-c", "until test -e /go; do sleep 0.05; done; exit 7");
  const ended = await detached("host", "sh", "-c", "until test -e /first; do sleep 0.05; done; exit 9");
  const pid = (await inspect(waits)).Pid;
  await daemon.crash();
  // The other ends while there is no daemon.
  Bun.spawnSync(["nsenter", "-t", String(pid), "-m", "touch", "/first"]);
  await eventually("its monitor recorded the end", () => recorded(`*/exec/${ended}/exit`), 30_000);
  await daemon.up();
  expect(await inspect(waits)).toMatchObject({
    Running: true,
    Pid: pid,
    ProcessConfig: { entrypoint: "sh" },
  });
  expect(await inspect(ended)).toMatchObject({ Running: false, ExitCode: 9, Pid: 0 });
  expect(await daemon.ok(["inspect", "-f", "{{.ExecIDs}}", "host"])).toBe(`[${waits}]`);
  await eventually("the ended one's files are gone", () => !directories().includes(ended), 30_000);
  await daemon.ok(["exec", "host", "touch", "/go"]);
  await eventually("it ends", async () => (await inspect(waits)).ExitCode === 7, 30_000);
  await eventually("no files of execs stay", () => directories().length === 0, 30_000);
  const filters = ["--filter", "event=exec_die", "--filter", `container=${host}`];
  const died = await daemon.ok(["events", "--since", "1", "--until", "0s", ...filters]);
  expect(died.split("\n").length).toBe(3);
});

test("an exec whose container ends while the daemon is dead has ended too", async () => {
  const until = "until test -e /go; do sleep 0.05; done";
  const host = await daemon.ok(["run", "-d", "--name", "host", "busybox", "sh", "-c", until]);
  const exec = await detached("host", "sleep", "1000");
  const { Pid: pid } = await inspect(exec);
  await daemon.crash();
  Bun.spawnSync(["nsenter", "-t", String(pid), "-m", "touch", "/go"]);
  await eventually("the exec's process is gone", () => !existsSync(`/proc/${pid}`), 30_000);
  // The container's first process ends after all others of its PID namespace.
  await eventually("its monitor recorded the end", () => recorded(`${host}/exit`), 30_000);
  await daemon.up();
  expect(await inspect(exec)).toMatchObject({ Running: false, ExitCode: 137 });
  expect(await daemon.ok(["inspect", "-f", "{{.State.Status}} {{.ExecIDs}}", "host"])).toBe("exited []");
  await eventually("no files of execs stay", () => directories().length === 0, 30_000);
});

test("a health check that the daemon's death left running does not stay", async () => {
  await daemon.ok([
    ...["run", "-d", "--name", "host", "--health-cmd", "echo x >>/checks; sleep 1000"],
    ...["--health-interval", "100ms", "--health-timeout", "1000s", "busybox", "sleep", "1000"],
  ]);
  const checks = async () => (await daemon.tug(["exec", "host", "wc", "-l", "/checks"])).stdout.slice(0, 1);
  await eventually("a check runs", async () => (await checks()) === "1", 30_000);
  await daemon.crash();
  await daemon.up();
  await eventually("a new one runs", async () => (await checks()) === "2", 30_000);
  const sleeping = async () => (await daemon.ok(["top", "host", "-o", "pid,args"])).split("\n");
  // Its own process and the new check, which has become its command.
  await eventually(
    "no other one is left",
    async () => (await sleeping()).filter((line) => / sleep 1000$/.test(line)).length === 2,
    30_000,
  );
});

for (const flags of [["-d"], []]) {
  test(`an exec whose runtime is still at work when the next daemon comes never runs (exec ${flags.join(" ") || "in the foreground"})`, async () => {
    await daemon.ok(["run", "-d", "--name", "host", "--runtime", "slow", "busybox", "sleep", "1000"]);
    const exec = daemon.tug(["exec", ...flags, "host", "sleep", "2000"]).catch(() => undefined);
    const begun = () => [
      ...new Bun.Glob("*/exec/*/monitor.pid").scanSync(join(daemon.execRoot, "containers")),
    ];
    await eventually("its monitor works", () => begun().length === 1, 30_000);
    await daemon.crash();
    await exec;
    await daemon.up();
    // They go last, when nobody is left who could start it.
    await eventually("its files are gone", () => directories().length === 0, 30_000);
    expect(await daemon.ok(["top", "host", "-o", "pid,args"])).toMatch(/^PID +COMMAND\n\d+ +sleep 1000$/);
    expect(await daemon.ok(["inspect", "-f", "{{.ExecIDs}}", "host"])).toBe("[]");
  }, 120_000);
}

test("kill -9 in the middle of starting execs: each ran or did not, none is left half-started", async () => {
  await daemon.ok(["run", "-d", "--name", "host", "busybox", "sleep", "1000"]);
  for (let round = 0; round < 8; round++) {
    const execs = [0, 1, 2].map((i) =>
      daemon.tug(["exec", ...(i === 0 ? [] : ["-d"]), "host", "sleep", "1000"]).catch(() => undefined),
    );
    await Bun.sleep(5 + round * 7);
    await daemon.crash();
    await Promise.all(execs);
    await daemon.up();
    expect(await daemon.ok(["exec", "host", "echo", "fine"])).toBe("fine");
    const ids = async () =>
      (JSON.parse(await daemon.ok(["inspect", "-f", "{{json .ExecIDs}}", "host"])) ?? []) as string[];
    // Whatever has files also answers, and runs; the rest of a start that the crash cut short is gone.
    await eventually(
      "files and answers agree",
      async () => directories().sort().join() === (await ids()).sort().join(),
      30_000,
    );
    const running = await ids();
    for (const id of running) expect((await inspect(id)).Running).toBe(true);
    // The last that was started may be about to become its command.
    await eventually(
      "each runs its command, and nothing else does",
      async () => {
        const processes = (await daemon.ok(["top", "host", "-o", "pid,args"])).split("\n");
        return processes.filter((line) => / sleep 1000$/.test(line)).length === 1 + running.length;
      },
      30_000,
    );
  }
}, 120_000);
