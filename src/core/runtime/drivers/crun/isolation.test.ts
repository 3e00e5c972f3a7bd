import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HostConfig } from "../../../../base/spec/docker/api.gen.ts";
import { probeCgroups } from "../../../../base/sys/cgroup/cgroup.ts";
import { generateSpec } from "../../spec/generate.ts";
import type { SpecInput } from "../../spec.ts";
import { Sandbox, specInput } from "../../testdata/busybox.ts";
import { socketcallProgram, socketProgram } from "../../testdata/elf.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
  for (const [name, program] of [
    ["af-alg", socketProgram(38)],
    ["af-vsock", socketProgram(40)],
    ["af-unix", socketProgram(1)],
    ["socketcall32", socketcallProgram()],
  ] as const) {
    writeFileSync(join(box.rootfs, "bin", name), program);
    chmodSync(join(box.rootfs, "bin", name), 0o755);
  }
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

/** Tests of limits need their controllers. */
const limited = test.skipIf(!probeCgroups().controllers.includes("memory"));

let count = 0;
/** Runs a shell script in a container as the generator makes it: its output and exit code. */
async function run(
  script: string,
  host: HostConfig = {},
  overrides: Partial<SpecInput> & { runtime?: string } = {},
): Promise<{ code: number; output: string }> {
  const id = `i-${count++}`;
  const { runtime, ...rest } = overrides;
  const { spec } = generateSpec(specInput(box, id, ["sh", "-c", script], { host, ...rest }));
  await box.runtime.create({ ...box.task(id, []), spec, ...(runtime ? { runtime } : {}) });
  await box.runtime.start(id);
  const exit = await box.exit(id);
  const output = (await box.log(id)).trim();
  await box.runtime.delete(id, { force: false });
  return { code: exit.exitCode, output };
}

for (const runtime of ["crun", "runc"]) {
  test(`under ${runtime} the default filter denies AF_ALG and AF_VSOCK and leaves 32-bit socketcall working`, async () => {
    expect(
      await run("af-unix; [ $? -ge 250 ] && af-alg; a=$?; af-vsock; echo $a $?", {}, { runtime }),
    ).toEqual({
      code: 0,
      output: "1 1",
    });
    expect((await run("socketcall32", {}, { runtime })).code).toBe(0);
    const free = await run("af-alg; echo $?", { SecurityOpt: ["seccomp=unconfined"] }, { runtime });
    expect(Number(free.output)).not.toBe(1);
  });
}

test("the capabilities are Docker's fourteen, nothing is inheritable, and seccomp is on", async () => {
  const { output } = await run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
  const status = Object.fromEntries(output.split("\n").map((line) => line.split(/:\s*/)));
  expect(status).toMatchObject({
    CapInh: "0000000000000000",
    CapPrm: "00000000a80425fb",
    CapEff: "00000000a80425fb",
    CapBnd: "00000000a80425fb",
    CapAmb: "0000000000000000",
    NoNewPrivs: "0",
    Seccomp: "2",
  });
});

test("another user keeps no capabilities, and no-new-privileges is set on request", async () => {
  const { output } = await run(
    "id -u; id -G; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status",
    { SecurityOpt: ["no-new-privileges"] },
    { user: { uid: 1000, gid: 1000, additionalGids: [7, 8] } },
  );
  expect(output.replaceAll(/\s+/g, " ")).toBe("1000 1000 7 8 CapEff: 0000000000000000 NoNewPrivs: 1");
});

test("masked paths are empty, read-only ones and the root with --read-only cannot be written, tmpfs can", async () => {
  const { output } = await run(
    "cat /proc/interrupts /proc/kcore | wc -c; echo x >/proc/sys/kernel/hostname; echo $?; touch /x; echo $?; touch /run/x; echo $?",
    { ReadonlyRootfs: true },
    { mounts: [{ target: "/run", source: "", type: "tmpfs", readonly: false, options: ["size=64k"] }] },
  );
  expect(output.split("\n").filter((line) => /^\d+$/.test(line))).toEqual(["0", "1", "1", "0"]);
});

test("privileged runs with every capability that the daemon holds and with the host's devices", async () => {
  const { code, output } = await run(
    "grep CapEff /proc/self/status; ls /dev | wc -l; touch /sys/x 2>&1; mount -t tmpfs x /tmp && echo mounted",
    {
      Privileged: true,
    },
  );
  expect(code).toBe(0);
  const held = BigInt(`0x${/CapEff:\s*(\w+)/.exec(output)?.[1]}`);
  expect(held.toString(2).replaceAll("0", "").length).toBe(box.facts.capabilities.length);
  expect(output).toContain("mounted");
  expect(output).not.toContain("Read-only");
});

test("devices of the request are there and allowed, others cannot be used", async () => {
  const { output } = await run("head -c 1 /dev/mine | wc -c; mknod /tmp/k c 1 11; head -c 1 /tmp/k 2>&1", {
    Devices: [{ PathOnHost: "/dev/zero", PathInContainer: "/dev/mine", CgroupPermissions: "r" }],
  });
  expect(output).toStartWith("1");
  expect(output).toContain("Operation not permitted");
});

limited("limits, sysctls, hostname, shm size, OOM score and ulimits arrive", async () => {
  const { output } = await run(
    "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/domainname /proc/self/oom_score_adj; grep -E 'open files' /proc/self/limits; grep shm /proc/mounts; cat /proc/sys/kernel/hostname",
    {
      Sysctls: { "net.core.somaxconn": "77" },
      ShmSize: 1 << 20,
      OomScoreAdj: 300,
      Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }],
      Memory: 32 << 20,
      NanoCpus: 5e8,
      PidsLimit: 30,
    },
    { domainname: "example.org" },
  );
  expect(output).toMatch(/^77\nexample\.org\n300\nMax open files\s+100\s+200/);
  expect(output).toContain("size=1024k");
  expect(output).toEndWith("box");
});

test("an unlimited number of processes is what a container without a limit has", async () => {
  expect((await run("echo here", { PidsLimit: -1 })).output).toBe("here");
});

test("an init reaps what the program leaves behind", async () => {
  const init = ["/usr/bin/tini-static", "/usr/bin/tini"].find((path) => existsSync(path));
  if (!init) return;
  // Nobody but the init can take away what the subshell leaves; a process that was not taken away has its directory still.
  const { output } = await run(
    "pid=$(sleep 0.02 >/dev/null & echo $!); while [ -e /proc/$pid ]; do sleep 0.01; done; cat /proc/1/comm",
    {},
    { init: { path: init } },
  );
  expect(output).toBe("docker-init");
});

test("a user namespace maps the container's root away from the host's", async () => {
  const map = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
  const { output } = await run(
    "id -u; cat /proc/self/uid_map",
    {},
    {
      namespaces: {
        pid: "private",
        network: "private",
        ipc: "private",
        uts: "private",
        mount: "private",
        cgroup: "host",
        user: "private",
      },
      idMappings: { uid: map, gid: map },
    },
  );
  expect(output.replaceAll(/\s+/g, " ")).toBe("0 0 200000 65536");
});

test("a working directory of any descriptor number stays inside or fails", async () => {
  const hostOnly = new Set(readdirSync("/").filter((name) => !existsSync(join(box.rootfs, name))));
  for (let fd = 3; fd < 20; fd++) {
    const id = `i-fd${fd}`;
    const { spec } = generateSpec(specInput(box, id, ["sh", "-c", "ls ../../../.. 2>&1"]));
    const leaky = { ...spec, process: { ...spec.process, cwd: `/proc/self/fd/${fd}` } } as typeof spec;
    try {
      await box.runtime.create({ ...box.task(id, []), spec: leaky });
      await box.runtime.start(id);
      await box.exit(id);
      const seen = (await box.log(id)).split("\n");
      expect(seen.filter((name) => hostOnly.has(name))).toEqual([]);
    } catch (error) {
      expect(String(error)).toContain("OCI runtime create failed");
    } finally {
      await box.runtime.delete(id, { force: true });
    }
  }
});

test("the compiled filter is kept on disk for the next daemon, and a torn file is compiled anew", async () => {
  await run("true");
  const stored = readdirSync(join(box.root, "seccomp")).filter((name) => !name.endsWith(".new"));
  expect(stored.length).toBeGreaterThan(0);
  for (const name of stored) writeFileSync(join(box.root, "seccomp", name), "torn");
  const { SeccompCache } = await import("../../seccomp/cache.ts");
  using cache = new SeccompCache({ directory: join(box.root, "seccomp") });
  const { spec } = generateSpec(specInput(box, "x", ["true"]));
  const linux = spec["linux"] as { seccomp: Parameters<typeof cache.program>[0] };
  expect(cache.program(linux.seccomp).length).toBeGreaterThan(1000);
});

limited("a CPU quota in a container with limits of v1 or v2 is what was asked for", async () => {
  const id = "i-cpu";
  const { spec } = generateSpec(
    specInput(box, id, ["sleep", "100"], { host: { NanoCpus: 5e8, Memory: 64 << 20 } }),
  );
  await box.runtime.create({ ...box.task(id, []), spec });
  await box.runtime.start(id);
  const paths = box.runtime.cgroups(id);
  const text = async (controller: string, v1: string, v2: string) =>
    (await Bun.file(paths[""] ? join(paths[""], v2) : join(paths[controller] ?? "", v1)).text()).trim();
  expect(await text("cpu", "cpu.cfs_quota_us", "cpu.max")).toStartWith("50000");
  expect(await text("memory", "memory.limit_in_bytes", "memory.max")).toBe(String(64 << 20));
  await box.runtime.delete(id, { force: true });
});
