import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { flip } from "../harness/flip.ts";
import { mountPoints } from "../harness/machine.ts";

/**
 * CVE-2021-30465, CVE-2017-1002101, CVE-2025-31133, -52565, -52881: while containers start, one who can write to their volume swaps
 * what gets mounted, or what it gets mounted on, for a link to the host. TUG_RACE_STARTS=1000 looks harder.
 */
const starts = Number(process.env["TUG_RACE_STARTS"] ?? 40);
const secret = "SECRET OF THE HOST";

let daemon: TestDaemon;
let host: string;
let shared: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  host = mkdtempSync("/tmp/tug-e2e-host-");
  shared = mkdtempSync("/tmp/tug-e2e-shared-");
  mkdirSync(join(host, "target"));
  writeFileSync(join(host, "target/file"), secret);
  writeFileSync(join(host, "single"), secret);
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  for (const path of [host, shared]) rmSync(path, { recursive: true, force: true });
  await daemon.close();
});

/** Mount points of the host, without what engines and tests beside us have in directories for such. */
const hostMounts = () =>
  mountPoints()
    .filter(
      (path) =>
        !(path.startsWith("/tmp/") || path.startsWith(`${tmpdir()}/`)) ||
        path.startsWith(host) ||
        path.startsWith(shared),
    )
    .sort();

/** What a runtime led astray would write. */
const sysctls = () =>
  [
    "kernel/core_pattern",
    "kernel/hostname",
    "kernel/domainname",
    "net/core/somaxconn",
    "kernel/shm_rmid_forced",
    "vm/panic_on_oom",
  ]
    .map((name) => `${name} ${readFileSync(`/proc/sys/${name}`, "latin1").trim()}`)
    .join("\n");

/**
 * The same while somebody flips names: at least so many, and more until one of them has got the mount that it is to have, or the test would
 * show nothing.
 */
async function startAmidRace(times: number, args: readonly string[], script: string): Promise<string[]> {
  const printed = await start(times, args, script);
  while (!printed.some((text) => text.includes("inside")) && printed.length < times * 20)
    printed.push(...(await start(3, args, script)));
  return printed;
}

/** Starts containers, a few at a time, and returns what each printed. */
async function start(times: number, args: readonly string[], script: string): Promise<string[]> {
  const printed: string[] = [];
  let begun = 0;
  const worker = async () => {
    while (begun++ < times) {
      const done = await daemon.tug([
        "run",
        "--rm",
        "--network",
        "none",
        ...args,
        "busybox",
        "sh",
        "-c",
        script,
      ]);
      printed.push(done.code === 125 || done.code === 127 ? "refused" : done.stdout);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  return printed;
}

for (const runtime of ["crun", "runc"]) {
  test(`a mount target that becomes a link and back is mounted in the container or not at all (${runtime})`, async () => {
    const volume = mkdtempSync(join(shared, "v"));
    const inner = mkdtempSync(join(shared, "i"));
    writeFileSync(join(inner, "file"), "inside");
    mkdirSync(join(volume, "x/target"), { recursive: true });
    symlinkSync(host, join(volume, "y"));
    const before = { mounts: hostMounts(), sysctls: sysctls() };
    const args = [
      "--runtime",
      runtime,
      "-v",
      `${volume}:/vol`,
      "-v",
      `${inner}:/vol/x/target`,
      "--sysctl",
      "net.core.somaxconn=77",
    ];
    await using _flipping = await flip(join(volume, "x"), join(volume, "y"));
    const printed = await startAmidRace(
      starts / 2,
      args,
      `cat /vol/x/target/file /vol/y/target/file ${host}/target/file 2>/dev/null; true`,
    );
    for (const text of printed) expect(text).not.toContain(secret);
    expect(printed.some((text) => text.includes("inside"))).toBe(true);
    expect({ mounts: hostMounts(), sysctls: sysctls() }).toEqual(before);
    expect(readdirSync(host).sort()).toEqual(["single", "target"]);
    expect(readFileSync(join(host, "target/file"), "utf8")).toBe(secret);
  }, 600_000);
}

test("a volume's subpath that is a link, or becomes one and back, is never mounted from the host", async () => {
  await daemon.ok(["volume", "create", "data"]);
  const root = await daemon.ok(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]);
  mkdirSync(join(root, "x", host, "target"), { recursive: true });
  mkdirSync(join(root, host, "target"), { recursive: true });
  mkdirSync(join(root, "x/target"));
  writeFileSync(join(root, "x/target/file"), "inside");
  writeFileSync(join(root, host, "target/file"), "inside");
  symlinkSync(host, join(root, "link"));
  symlinkSync(host, join(root, "y"));
  const mount = (subpath: string) => ["--mount", `type=volume,src=data,dst=/m,volume-subpath=${subpath}`];
  // It leads somewhere in the volume and, taken from the host's root, to the secret.
  const still = await start(1, mount("link/target"), "cat /m/file");
  expect(still).toEqual(["inside"]);
  expect(await start(1, mount("link/target/file"), "cat /m")).toEqual(["inside"]);
  expect(await start(1, mount("link/nothing"), "cat /m")).toEqual(["refused"]);
  await using _flipping = await flip(join(root, "x"), join(root, "y"));
  const printed = await startAmidRace(starts / 2, mount("x/target"), "cat /m/file");
  for (const text of printed) expect(text).not.toContain(secret);
  expect(printed.some((text) => text.includes("inside"))).toBe(true);
}, 600_000);

test("masked and read-only paths hold in an image that puts links in the place of devices and of /proc", async () => {
  await daemon.ok(["create", "--name", "made", "busybox"]);
  const root = mkdtempSync(join(shared, "image"));
  for (const name of ["bin", "etc", "tmp", "host"]) mkdirSync(join(root, name));
  for (const [name, target] of Object.entries({ dev: "/proc/sys/kernel", proc: "/tmp", sys: host }))
    symlinkSync(target, join(root, name));
  Bun.spawnSync(["cp", Bun.which("busybox") ?? "/bin/busybox", join(root, "bin/busybox")]);
  symlinkSync("busybox", join(root, "bin/sh"));
  const tar = Bun.spawnSync(["tar", "-C", root, "-c", "."]).stdout;
  await daemon.ok(["import", "-", "links"], { input: tar });
  const before = { mounts: hostMounts(), sysctls: sysctls() };
  for (const runtime of ["crun", "runc"]) {
    const args = [
      "run",
      "--rm",
      "--network",
      "none",
      "--runtime",
      runtime,
      "links",
      "/bin/busybox",
      "sh",
      "-c",
    ];
    const script =
      "echo started; echo x >/proc/sys/kernel/core_pattern; echo x >/proc/sysrq-trigger; /bin/busybox wc -c </proc/kcore; /bin/busybox cat /sys/single /dev/core_pattern";
    const { stdout } = await daemon.tug([...args, script]);
    expect(stdout).not.toContain(secret);
    if (stdout.includes("started")) expect(stdout).toMatch(/^started\n(0\n)?$/);
    expect({ mounts: hostMounts(), sysctls: sysctls() }).toEqual(before);
  }
  expect(readdirSync(host).sort()).toEqual(["single", "target"]);
  await daemon.ok(["rmi", "links"]);
}, 120_000);

test("an image that makes /dev a volume of links has nothing made, changed or given away on the host (CVE-2026-88264, -88265)", async () => {
  const root = mkdtempSync(join(shared, "image"));
  for (const name of ["bin", "dev"]) mkdirSync(join(root, name));
  Bun.spawnSync(["cp", Bun.which("busybox") ?? "/bin/busybox", join(root, "bin/busybox")]);
  for (const [name, target] of Object.entries({
    console: "made",
    null: "single",
    pts: "target",
    shm: "target",
  }))
    symlinkSync(join(host, target), join(root, "dev", name));
  const tar = Bun.spawnSync(["tar", "-C", root, "-c", "."]).stdout;
  await daemon.ok(["import", "--change", "VOLUME /dev", "-", "devices"], { input: tar });
  const facts = () =>
    ["single", "target", "target/file"].map((name) => {
      const { uid, gid, mode } = statSync(join(host, name));
      return [name, uid, gid, mode];
    });
  const before = { mounts: hostMounts(), facts: facts() };
  for (const runtime of ["crun", "runc"]) {
    for (const flags of [["-t"], ["-t", "--read-only"], ["-u", "7"], ["-t", "-u", "7"]]) {
      const args = [
        "run",
        "--rm",
        "--network",
        "none",
        "--runtime",
        runtime,
        ...flags,
        "devices",
        "/bin/busybox",
      ];
      const { stdout } = await daemon.tug([
        ...args,
        "sh",
        "-c",
        "echo planted >/dev/null; /bin/busybox cat /dev/pts/file",
      ]);
      expect(stdout).not.toContain(secret);
    }
  }
  expect({ mounts: hostMounts(), facts: facts() }).toEqual(before);
  expect(readdirSync(host).sort()).toEqual(["single", "target"]);
  expect(readFileSync(join(host, "single"), "utf8")).toBe(secret);
  await daemon.ok(["rmi", "devices"]);
}, 120_000);
