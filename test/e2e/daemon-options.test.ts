import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, run, TestDaemon, tugBinary } from "../harness/daemon.ts";

/** What daemon.json and the flags promise, seen on the containers and in the daemon itself. */
let root: string;
let daemon: TestDaemon;
const write = (config: object) => writeFileSync(join(root, "daemon.json"), JSON.stringify(config));
/** What it starts with; who writes another puts it back. */
const usual = () => ({
  "default-ulimits": { nofile: { Name: "nofile", Soft: 111, Hard: 222 } },
  "default-shm-size": "8m",
  "default-ipc-mode": "shareable",
  "log-format": "json",
  "log-opts": { "max-file": "2" },
  runtimes: { own: { path: join(root, "own"), runtimeArgs: ["--marked"] } },
  labels: ["rack=1"],
  "default-network-opts": {
    bridge: { "com.docker.network.driver.mtu": "1234", "com.docker.network.bridge.enable_icc": "false" },
  },
});

/** A runtime of one's own: runc, after writing down what it was called with. */
function ownRuntime(name: string): { readonly path: string; readonly calls: () => string } {
  const [path, log] = [join(root, name), join(root, `${name}.log`)];
  writeFileSync(path, `#!/bin/sh\necho "$*" >>${log}\nshift\nexec runc "$@"\n`);
  chmodSync(path, 0o755);
  return { path, calls: () => (existsSync(log) ? readFileSync(log, "utf8") : "") };
}

beforeAll(async () => {
  root = mkdtempSync("/tmp/tug-options-");
  ownRuntime("own");
  write(usual());
  daemon = await TestDaemon.start({ root, flags: ["--live-restore=false", "--shutdown-timeout=60"] });
}, 120_000);
afterAll(async () => {
  await daemon.close();
  rmSync(root, { recursive: true, force: true });
});

test("defaults for containers hold, and what a container says wins", async () => {
  const script = "ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1 | awk '{print $2}'";
  const seen = (...more: string[]) =>
    daemon.ok(["run", "--rm", "--network", "none", ...more, "busybox", "sh", "-c", script]);
  expect((await seen()).split("\n")).toEqual(["111", "222", "8192"]);
  expect((await seen("--ulimit", "nofile=50", "--shm-size", "4m")).split("\n")).toEqual(["50", "50", "4096"]);
  await daemon.ok(["network", "create", "-o", "com.docker.network.bridge.enable_icc=true", "own-net"]);
  expect(JSON.parse(await daemon.ok(["network", "inspect", "-f", "{{json .Options}}", "own-net"]))).toEqual({
    "com.docker.network.driver.mtu": "1234",
    "com.docker.network.bridge.enable_icc": "true",
  });
  await daemon.ok(["network", "rm", "own-net"]);
  await daemon.ok(["create", "--name", "plain", "busybox"]);
  const format = "{{.HostConfig.IpcMode}} {{.HostConfig.LogConfig.Config}}";
  expect(await daemon.ok(["inspect", "-f", format, "plain"])).toBe("shareable map[max-file:2]");
  await daemon.ok(["rm", "plain"]);
  expect(
    daemon.log
      .split("\n")
      .filter(Boolean)
      .every((line) => JSON.parse(line).level !== undefined),
  ).toBe(true);
});

test("runtimes get their arguments; SIGHUP brings new ones, and what else a running daemon takes", async () => {
  const own = ownRuntime("own");
  await daemon.ok(["run", "--rm", "--network", "none", "--runtime", "own", "busybox", "true"]);
  const commands = own.calls().trim().split("\n");
  expect(commands.length).toBeGreaterThan(1);
  expect(commands.every((line) => line.startsWith("--marked --root="))).toBe(true);

  const late = ownRuntime("late");
  const reload = async (config: object, until: string) => {
    const told = daemon.log.split(until).length;
    write(config);
    process.kill(daemon.pid, "SIGHUP");
    await eventually(until, async () => daemon.log.split(until).length > told);
  };
  await reload({ labels: ["a=1", "a=2"] }, "conflict labels");
  expect(await daemon.ok(["info", "-f", "{{.Labels}} {{.Debug}}"])).toBe("[rack=1] false");
  const since = String(Date.now() / 1000 - 1);
  await reload(
    {
      debug: true,
      labels: ["rack=2"],
      "default-shm-size": "2m",
      runtimes: { late: { path: late.path, runtimeArgs: ["--late"] } },
      "default-runtime": "late",
      "insecure-registries": ["registry.test:5000"],
      "max-concurrent-downloads": 1,
    },
    "Reloaded configuration",
  );
  expect(await daemon.ok(["info", "-f", "{{.Labels}} {{.Debug}} {{.DefaultRuntime}}"])).toBe(
    "[rack=2] true late",
  );
  const known = JSON.parse(await daemon.ok(["info", "-f", "{{json .Runtimes}}"]));
  expect(known.late).toEqual({ path: late.path, runtimeArgs: ["--late"] });
  const shm = await daemon.ok(["run", "--rm", "--network", "none", "busybox", "df", "-k", "/dev/shm"]);
  expect(shm).toContain(" 2048 ");
  expect(late.calls()).toContain("--late");
  const gone = await daemon.tug(["run", "--rm", "--runtime", "own", "busybox", "true"]);
  expect(gone.stderr).toContain("unknown or invalid runtime name: own");
  const until = String(Date.now() / 1000 + 1);
  const events = await daemon.ok(["events", "--since", since, "--until", until, "--filter", "event=reload"]);
  for (const word of [
    "debug=true",
    "default-runtime=late",
    "max-concurrent-downloads=1",
    "registry.test:5000",
  ])
    expect(events).toContain(word);
  await reload(usual(), "Reloaded configuration");
});

test("with live-restore off containers end with the daemon, and those whose policy says so come back with it", async () => {
  const sleeper = ["busybox", "sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 1000 & wait"];
  const start = (name: string, ...flags: string[]) =>
    daemon.ok(["run", "-d", "--name", name, "--stop-timeout", "60", ...flags, ...sleeper]);
  await start("service", "--restart", "unless-stopped");
  await start("task", "--network", "container:service");
  await start("once", "--rm", "--network", "none");
  // Before its trap is set no signal but SIGKILL ends a container's first process.
  for (const name of ["service", "task", "once"])
    await eventually(`the trap of ${name} is set`, async () => (await daemon.ok(["logs", name])) === "ready");
  const pids = (await daemon.ok(["inspect", "-f", "{{.State.Pid}}", "service", "task", "once"])).split("\n");
  await daemon.stop();
  expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  await daemon.up();
  await eventually("the service is back", async () => {
    return (await daemon.ok(["inspect", "-f", "{{.State.Running}}", "service"])) === "true";
  });
  expect(await daemon.ok(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "task"])).toBe(
    "exited 0",
  );
  expect(await daemon.ok(["ps", "-aq", "--filter", "name=once"])).toBe("");
  await daemon.ok(["rm", "-f", "task", "service"]);
}, 120_000);

test("--validate tells a good configuration from a bad one without starting anything", async () => {
  const file = join(root, "validated.json");
  const validate = (...flags: string[]) =>
    run([tugBinary, "daemon", "--validate", "--config-file", file, ...flags]);
  writeFileSync(file, JSON.stringify({ debug: true }));
  expect(await validate()).toEqual({ code: 0, stdout: "configuration OK\n", stderr: "" });
  const bad = await validate("--default-runtime", "nosuch");
  expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining("'nosuch' does not exist")]);
  writeFileSync(file, JSON.stringify({ colour: "red" }));
  expect((await validate()).stderr).toContain(
    "the following directives don't match any configuration option: colour",
  );
});

test("a daemon that cannot do what it was told does not start", async () => {
  const start = async (...flags: string[]) => {
    const other = mkdtempSync(join(root, "other-"));
    const result = await run([
      ...[tugBinary, "daemon", "--data-root", join(other, "d"), "--exec-root", join(other, "e")],
      ...["--config-file", "/dev/null", "-H", `unix://${other}/s`, ...flags],
    ]);
    rmSync(other, { recursive: true });
    const instance = `tug-${createHash("sha256").update(join(other, "d")).digest("hex").slice(0, 8)}`;
    const cgroups = new Bun.Glob(`{*,.}/${instance}`).scanSync({ cwd: "/sys/fs/cgroup", onlyFiles: false });
    expect([...cgroups]).toEqual([]);
    return [result.code, result.stderr.trim().split("\n").at(-1)];
  };
  expect(await start("--storage-opt", "dm.basesize=10G")).toEqual([
    1,
    "error initializing graphdriver: overlay2: unknown option dm.basesize",
  ]);
  expect(await start("-s", "vfs", "--storage-opt", "foo=bar")).toEqual([
    1,
    "error initializing graphdriver: unknown option foo for vfs",
  ]);
  expect(await start("--log-opt", "foo=bar")).toEqual([
    1,
    "failed to set log opts: unknown log opt 'foo' for json-file log driver",
  ]);
  if (!existsSync("/run/systemd/system")) {
    const [code, text] = await start("--exec-opt", "native.cgroupdriver=systemd");
    expect([code, text]).toEqual([1, expect.stringContaining("systemd is not this host's init")]);
  }
});

test("features have their effect, and what has none is named in the log", async () => {
  const other = await TestDaemon.start({
    flags: ["--feature", "buildkit=false", "--feature", "cdi=false", "--feature", "other=true", "--raw-logs"],
    busybox: false,
  });
  try {
    const ping = await fetch("http://tug/_ping", { unix: other.socket });
    expect(ping.headers.get("builder-version")).toBe("1");
    const { body } = await other.api("GET", "/info");
    expect((body as { CDISpecDirs: unknown }).CDISpecDirs).toEqual([]);
    const warned = () => other.log.split("\n").filter((line) => line.includes("no effect here"));
    await eventually("the log has what came before it served", () =>
      other.log.includes("completed initialization"),
    );
    expect(warned()).toEqual([
      expect.stringContaining('level=warn msg="the option --raw-logs has no effect here'),
      expect.stringContaining("the option --feature other has no effect here"),
    ]);
  } finally {
    await other.close();
  }
}, 120_000);

test("a daemon that was started from a shell with a strict umask makes what everybody in a container may read", async () => {
  const strict = await TestDaemon.start({ launcher: ["sh", "-c", 'umask 077; exec "$@"', "sh"] });
  try {
    const script = "stat -c '%a %n' /made/here /etc/hosts /etc/hostname /etc/resolv.conf && cat /etc/hosts";
    const said = await strict.ok([
      "run",
      "--rm",
      "-u",
      "1000",
      "-w",
      "/made/here",
      "busybox",
      "sh",
      "-c",
      script,
    ]);
    expect(said).toStartWith("755 /made/here\n644 /etc/hosts\n644 /etc/hostname\n644 /etc/resolv.conf\n");
    expect(said).toContain("localhost");
    await strict.assertClean();
  } finally {
    await strict.close();
  }
}, 120_000);
