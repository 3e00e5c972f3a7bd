import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

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
  "no-delete": 'case "$*" in *" delete "*) echo "cannot delete" >&2; exit 1;; *) exec runc "$@";; esac',
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
}, 30_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const names = () => daemon.ok(["ps", "-a", "--format", "{{.Names}}"]);
const layers = () => readdirSync(join(daemon.dataRoot, "overlay2")).length;
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
    expect([name, result.code]).toEqual([name, 125]);
    expect(result.stderr).toContain("Error response from daemon: ");
    expect(await names()).toBe("");
    expect(layers()).toBe(before);
    expect(await daemon.ok(["volume", "ls", "-q"])).toBe("");
  }
  endOwn("sleep 98761");
}, 60_000);

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
  expect(processes().filter(({ command }) => command === "sleep 98762")).toEqual([]);
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
    expect([args.join(" "), result.code]).toEqual([args.join(" "), code]);
    expect([args.join(" "), await names()]).toEqual([args.join(" "), ""]);
    expect(layers()).toBe(before);
  }
}, 60_000);
