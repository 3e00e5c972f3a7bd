import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

/** What a runtime does instead of the one command. */
const ways = {
  fails: 'echo "no such luck" >&2; exit 1',
  babbles: "head -c 30000 /dev/urandom >&2; head -c 30000 /dev/urandom; exit 1",
  hangs: "exec sleep 98763",
} as const;

/** OCI runtimes that misbehave, each a script in front of the real one where it needs one. */
const scripts: Readonly<Record<string, string>> = {
  fails: "echo 'no luck today' >&2; exit 1",
  mute: "exit 1",
  garbage: "head -c 50000 /dev/urandom >&2; head -c 1000 /dev/urandom; exit 1",
  liar: "exit 0",
  killed: "kill -9 $$",
  // Its child holds whatever pipes it was given.
  lingers: "sleep 98761 & echo 'leaving a child behind' >&2; exit 1",
  hangs: "exec sleep 98762",
  "no-start": 'case "$*" in *" start "*) echo "cannot start" >&2; exit 1;; *) exec runc "$@";; esac',
  // The container runs, but it tells so late.
  "start-late": 'runc "$@"; code=$?; case "$*" in *" start "*) sleep 0.3;; esac; exit $code',
  "no-delete": 'case "$*" in *" delete "*) echo "cannot delete" >&2; exit 1;; *) exec runc "$@";; esac',
  // More than a pipe holds, before it does what it is asked for, or fails.
  wordy: 'head -c 300000 /dev/zero | tr "\\0" w >&2; exec runc "$@"',
  "wordy-fails": 'head -c 300000 /dev/zero | tr "\\0" w >&2; echo "after all that: no" >&2; exit 1',
  "update-endless": 'case "$*" in *" update "*) exec cat /dev/zero;; *) exec runc "$@";; esac',
  ...Object.fromEntries(
    ["start", "exec", "update", "delete", "kill", "pause", "resume", "state"].flatMap((verb) =>
      Object.entries(ways).map(([way, body]) => [
        `${verb}-${way}`,
        `case "$*" in *" ${verb} "*|"${verb} "*) ${body};; *) exec runc "$@";; esac`,
      ]),
    ),
  ),
};

let daemon: TestDaemon;
let root: string;
beforeAll(async () => {
  root = mkdtempSync("/tmp/tug-runtimes-");
  mkdirSync(join(root, "bin"));
  for (const [name, body] of Object.entries(scripts))
    writeFileSync(join(root, "bin", name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const runtimes = Object.fromEntries(
    Object.keys(scripts).map((name) => [name, { path: join(root, "bin", name) }]),
  );
  writeFileSync(join(root, "daemon.json"), JSON.stringify({ runtimes }));
  daemon = await TestDaemon.start({ root });
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const names = () => daemon.ok(["ps", "-a", "--format", "{{.Names}}"]);
const layers = () => readdirSync(join(daemon.dataRoot, "overlay2")).length;
/** One that was killed is there for a moment yet. */
const gone = (script: string) =>
  eventually(
    `none of "${script}" runs`,
    () => processes().every(({ command }) => command !== script),
    30_000,
  );
const endOwn = (script: string) => {
  for (const { pid, command } of processes()) if (command === script) process.kill(pid, "SIGKILL");
};

test("a runtime that fails, in whatever way, fails the run with 125 and leaves nothing", async () => {
  const before = layers();
  for (const name of ["fails", "mute", "garbage", "liar", "killed", "lingers", "no-start"]) {
    const result = await daemon.tug([
      "run",
      "--rm",
      "--runtime",
      name,
      "-p",
      "0:80",
      "-v",
      "/anon",
      "busybox",
      "true",
    ]);
    expect([name, result.code], result.stderr).toEqual([name, 125]);
    expect(result.stderr).toContain("Error response from daemon: ");
    expect(await names()).toBe("");
    expect(layers()).toBe(before);
    expect(await daemon.ok(["volume", "ls", "-q"])).toBe("");
  }
  endOwn("sleep 98761");
}, 120_000);

test("a runtime that says more than anybody reads does its work all the same, and its last words are told", async () => {
  const since = performance.now();
  const wordy = ["--runtime", "wordy", "--network", "none"];
  await daemon.ok(["run", "-d", "--name", "wordy", ...wordy, "busybox", "sleep", "1000"]);
  const out = await daemon.tug(["exec", "wordy", "sh", "-c", "echo out; echo err >&2"]);
  expect([out.code, out.stdout]).toEqual([0, "out\n"]);
  expect(out.stderr).toEndWith("err\n");
  await daemon.ok(["rm", "-f", "wordy"]);
  const failed = await daemon.tug(["run", "--rm", "--runtime", "wordy-fails", "busybox", "true"]);
  expect(failed.code, failed.stderr).toBe(125);
  expect(failed.stderr).toContain("after all that: no");
  // Far from the minute that a start may take.
  expect(performance.now() - since).toBeLessThan(45_000);
}, 120_000);

test("the runtime's own words reach the user", async () => {
  const result = await daemon.tug(["run", "--rm", "--runtime", "fails", "busybox", "true"]);
  expect(result.stderr).toContain("no luck today");
});

test("without --rm the container stays created, says why, and can be removed", async () => {
  expect(
    (await daemon.tug(["run", "-d", "--name", "stuck", "--runtime", "fails", "busybox", "true"])).code,
  ).toBe(125);
  expect(await daemon.ok(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "stuck"])).toMatch(
    /^created \d+$/,
  );
  expect(await daemon.ok(["inspect", "-f", "{{.State.Error}}", "stuck"])).toContain("no luck today");
  await daemon.ok(["rm", "stuck"]);
});

test("what a container writes before its runtime tells that it runs lies not before the time it was started at", async () => {
  const flags = ["--runtime", "start-late", "--network", "none"];
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "early",
    ...flags,
    "busybox",
    "sh",
    "-c",
    "echo at once; exec sleep 1000",
  ]);
  const since = await daemon.ok(["inspect", "-f", "{{.State.StartedAt}}", "early"]);
  await eventually("it has written", async () => (await daemon.ok(["logs", "early"])) === "at once");
  expect(await daemon.ok(["logs", "--since", since, "early"])).toBe("at once");
});

test("a runtime that cannot delete does not keep a container from ending and going", async () => {
  expect(
    await daemon.ok(["run", "--runtime", "no-delete", "--name", "sticky", "busybox", "echo", "ran"]),
  ).toBe("ran");
  await daemon.ok(["rm", "sticky"]);
});

test("a runtime that hangs holds up nobody else; the daemon killed meanwhile cleans up after it", async () => {
  const run = daemon.tug(["run", "--rm", "--name", "hung", "--runtime", "hangs", "busybox", "true"]);
  await eventually("it hangs", async () => processes().some(({ command }) => command === "sleep 98762"));
  expect(await daemon.ok(["run", "--rm", "busybox", "echo", "others run"])).toBe("others run");
  expect(await names()).toBe("hung");
  await daemon.crash();
  expect((await run).code).toBe(125);
  await daemon.up();
  await gone("sleep 98762");
  if ((await names()) !== "") await daemon.ok(["rm", "-f", "hung"]);
});

test("a command, a mount or a device that is not there fails with Docker's code and leaves nothing", async () => {
  const before = layers();
  for (const [code, ...args] of [
    [127, "busybox", "nosuch"],
    [127, "busybox", "/no/such"],
    [126, "busybox", "/etc"],
    [125, "-w", "/bin/sh", "busybox", "true"],
    [125, "--mount", "type=bind,source=/no/such/source,target=/x", "busybox", "true"],
    [125, "-v", "/etc/passwd:/", "busybox", "true"],
    [127, "--device", "/dev/nosuch", "busybox", "true"],
    [125, "-u", "nobody-of-that-name", "busybox", "true"],
    [125, "--network", "nosuch", "busybox", "true"],
    [125, "--mount", "type=tmpfs,target=/x,tmpfs-mode=99", "busybox", "true"],
    [125, "--volumes-from", "nosuch", "busybox", "true"],
    [125, "--runtime", "nosuch", "busybox", "true"],
    [125, "--cpus", "0.00001", "busybox", "true"],
    [125, "-m", "1k", "busybox", "true"],
    [125, "--security-opt", "seccomp=/no/such/profile", "busybox", "true"],
    [125, "--ip", "1.2.3.4", "busybox", "true"],
  ] as const) {
    const result = await daemon.tug(["run", "--rm", ...args]);
    expect([args.join(" "), result.code], result.stderr).toEqual([args.join(" "), code]);
    expect([args.join(" "), await names()]).toEqual([args.join(" "), ""]);
    expect(layers()).toBe(before);
  }
}, 120_000);

/** What somebody does with a container, and which command of its runtime that takes. */
const uses: readonly (readonly [verb: string, ...args: string[]])[] = [
  ["exec", "exec", "NAME", "echo", "hello"],
  ["update", "update", "--memory", "64m", "--memory-swap", "64m", "NAME"],
  ["pause", "pause", "NAME"],
  ["resume", "unpause", "NAME"],
  ["kill", "kill", "-s", "USR1", "NAME"],
  ["delete", "stop", "-t", "0", "NAME"],
];
/** Asked of the kernel, which does not lie; and after the end the runtime can only keep what is removed without it. */
const needless: ReadonlySet<string> = new Set(["pause", "resume", "kill", "state", "delete"]);

/** It is stopped, and what it printed is not kept. */
async function updateEndlessly(): Promise<void> {
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "endless",
    "--runtime",
    "update-endless",
    "busybox",
    "sleep",
    "1000",
  ]);
  const before = daemon.residentBytes();
  const update = daemon.tug(["update", "--cpu-shares", "100", "endless"], { timeout: 60_000 });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, daemon.residentBytes());
  }, 100);
  const result = await update;
  clearInterval(watch);
  expect([result.code, result.stderr.length < 1000]).toEqual([1, true]);
  expect(result.stderr).toContain("killed, as it printed without end");
  expect(most - before).toBeLessThan(200e6);
  await daemon.ok(["rm", "-f", "endless"]);
}

for (const way of Object.keys(ways)) {
  test(`a runtime that ${way} at one command fails that alone, the rest of the container's life goes on, and nothing stays`, async () => {
    // Hung ones wait for their time limits: side by side.
    const life = async (verb: string) => {
      const name = `${verb}-${way}`;
      await daemon.ok(["run", "-d", "--name", name, "--runtime", name, "busybox", "sleep", "1000"]);
      for (const [of, ...args] of uses) {
        if (way === "hangs" && of === "exec" && verb === "exec") continue;
        const result = await daemon.tug(
          args.map((word) => (word === "NAME" ? name : word)),
          { timeout: 60_000 },
        );
        const bad = of === verb && !needless.has(verb);
        expect([name, args[0], result.code !== 0], result.stderr.slice(0, 2000)).toEqual([
          name,
          args[0],
          bad,
        ]);
        if (bad) expect(result.stderr.length + result.stdout.length).toBeLessThan(100_000);
      }
      expect(await daemon.ok(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name])).toBe(
        "exited 137",
      );
      await daemon.ok(["start", name]);
      await daemon.ok(["rm", "-f", name], { timeout: 60_000 });
    };
    const lives = ["exec", "update", "delete", "kill", "pause", "resume", "state"].map(life);
    await Promise.all([...lives, ...(way === "hangs" ? [updateEndlessly()] : [])]);
    await daemon.assertClean();
    await gone("sleep 98763");
  }, 120_000);
}

test("an exec that hangs in the runtime ends with its container, which is removed without waiting for it", async () => {
  await daemon.ok(["run", "-d", "--name", "host", "--runtime", "exec-hangs", "busybox", "sleep", "1000"]);
  const exec = daemon.tug(["exec", "host", "true"], { timeout: 60_000 });
  await eventually("it hangs", async () => processes().some(({ command }) => command === "sleep 98763"));
  const since = performance.now();
  await daemon.ok(["rm", "-f", "host"]);
  expect(performance.now() - since).toBeLessThan(20_000);
  expect((await exec).code).not.toBe(0);
  await gone("sleep 98763");
}, 120_000);

test("a start that fails or babbles leaves a container that says why and can be removed", async () => {
  for (const way of ["fails", "babbles"]) {
    const result = await daemon.tug([
      "run",
      "-d",
      "--name",
      "one",
      "--runtime",
      `start-${way}`,
      "busybox",
      "true",
    ]);
    expect([way, result.code], result.stderr.slice(0, 2000)).toEqual([way, 125]);
    expect(result.stderr.length).toBeLessThan(200_000);
    if (way === "fails") expect(result.stderr).toContain("no such luck");
    await daemon.ok(["rm", "one"]);
  }
});
