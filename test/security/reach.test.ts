import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { chmodSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { run, TestDaemon, tugBinary } from "../harness/daemon.ts";

/** CVE-2021-41091, CVE-2024-25621, CVE-2020-15257: nobody but root gets at layers, set-uid programs in them, or a control socket. */
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  chmodSync(daemon.root, 0o755);
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** Runs as nobody, and as a member of no group but nobody's. */
const asNobody = (...command: string[]) =>
  run([
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
    "--inh-caps=-all",
    "--bounding-set=-all",
    ...command,
  ]);

/** All that others than root can pass, list or open below a directory, as a walk through what lets them in. */
function reachable(path: string, found: string[] = []): string[] {
  const mode = modeOf(path);
  if ((mode & 0o055) !== 0) found.push(`${path} ${(mode & 0o777).toString(8)}`);
  if ((mode & 0o011) === 0) return found;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) reachable(below, found);
    else if (!entry.isSymbolicLink() && (modeOf(below) & 0o066) !== 0) found.push(below);
  }
  return found;
}

/** What the daemon removed while we looked is nobody's. */
function modeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
}

test("of the data and state directories nothing but the state's own top can be passed or listed, while containers run", async () => {
  await daemon.ok(["network", "create", "net"]);
  await daemon.ok(["secret", "create", "key", "-"], { input: "hidden" });
  await daemon.ok(["run", "--rm", "-v", "data:/data", "busybox", "mkdir", "-p", "/data/in/side"]);
  const id = await daemon.ok([
    ...[
      "run",
      "-dit",
      "--name",
      "full",
      "--network",
      "net",
      "-p",
      "127.0.0.1::80",
      "-v",
      "data:/data",
      "--secret",
      "key",
    ],
    ...[
      "--mount",
      "type=volume,src=data,dst=/sub,volume-subpath=in/side",
      "--init",
      "busybox",
      "sleep",
      "1000",
    ],
  ]);
  await daemon.ok(["exec", "-d", "full", "sleep", "1000"]);
  expect(reachable(daemon.dataRoot)).toEqual([]);
  const state = reachable(daemon.execRoot).filter((line) => line !== `${daemon.execRoot} 755`);
  expect(state).toEqual([]);
  const looked = await asNobody(
    "find",
    daemon.dataRoot,
    join(daemon.execRoot, "containers"),
    "-mindepth",
    "1",
  );
  expect(looked.stdout).toBe("");
  // What is running for it is not reached by its processes either.
  const pid = await daemon.ok(["inspect", "-f", "{{.State.Pid}}", "full"]);
  const layers = readdirSync(join(daemon.dataRoot, "overlay2"));
  const places = [
    `/proc/${pid}/root/bin`,
    `/proc/${pid}/cwd/bin`,
    `/proc/${daemon.pid}/root${daemon.dataRoot}/overlay2`,
    join(daemon.dataRoot, "overlay2", layers[0] ?? "", "diff/bin/busybox"),
    join(daemon.dataRoot, "containers", id, "rootfs/bin/busybox"),
    join(daemon.execRoot, "containers", id, "attach"),
  ];
  for (const path of places) expect([path, (await asNobody("ls", "-L", path)).code]).not.toEqual([path, 0]);
  await daemon.ok(["rm", "-f", "full"]);
  await daemon.ok(["secret", "rm", "key"]);
}, 120_000);

test("the API's socket answers root and its group alone, and no abstract socket is there to be found from a container", async () => {
  const refused = await asNobody(tugBinary, "-H", daemon.host, "ps");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/permission denied/i);
  expect(statSync(daemon.socket).mode & 0o007).toBe(0);
  // A container in the host's network namespace sees the host's abstract sockets (CVE-2020-15257).
  await daemon.ok(["run", "-dit", "--name", "other", "busybox", "sleep", "1000"]);
  const sockets = await daemon.ok(["run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/unix"]);
  const abstract = sockets.split("\n").filter((line) => /\s@/.test(line));
  expect(abstract.filter((line) => /tug|conmon|crun|runc/.test(line))).toEqual([]);
});
