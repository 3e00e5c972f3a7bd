import { expect, test } from "bun:test";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { SpecInput } from "../spec.ts";
import golden from "../testdata/docker-20.10-config.json" with { type: "json" };
import { everything, facts, generate, hidden, input, mountAt } from "../testdata/spec-input.ts";
import { generateExecProcess, mergeEnv } from "./exec-process.ts";
import { apparmorProfileOf, generateResources, generateSpec } from "./generate.ts";
import { stringifySpec } from "./stringify.ts";
import { validateResources } from "./validate-resources.ts";

test("a container without options has what the real Docker 20.10 gives it", () => {
  const { spec, warnings } = generate();
  expect(warnings).toEqual([]);
  expect(spec.process.capabilities).toEqual(golden.process.capabilities);
  expect(spec.linux.namespaces).toEqual(golden.linux.namespaces);
  expect(spec.linux.resources.devices).toEqual(golden.linux.resources.devices as never);
  expect(spec.linux.sysctl).toEqual(golden.linux.sysctl);
  expect(spec.linux.readonlyPaths).toEqual(golden.linux.readonlyPaths);
  expect(spec.mounts).toEqual(golden.mounts.filter((mount) => mount.type !== "bind"));
  // Newer advisories add to the list of that version.
  expect(spec.linux.maskedPaths).toEqual(expect.arrayContaining(golden.linux.maskedPaths));
  for (const path of ["/proc/interrupts", "/sys/devices/virtual/powercap", ...facts.extraMaskedPaths])
    expect(spec.linux.maskedPaths).toContain(path);
});

test("the default seccomp profile denies AF_ALG and AF_VSOCK and lets socketcall through", () => {
  const rules = generate().spec.linux.seccomp?.syscalls ?? [];
  const sockets = rules.filter((rule) => rule.names.includes("socket")) as unknown as {
    args: { value: number; op: string }[];
  }[];
  expect(sockets.map((rule) => rule.args[0])).toMatchObject([
    { value: 38, op: "SCMP_CMP_LT" },
    { value: 39, op: "SCMP_CMP_EQ" },
    { value: 40, op: "SCMP_CMP_GT" },
  ]);
  expect(rules.some((rule) => rule.names.includes("socketcall"))).toBe(true);
  expect(rules.some((rule) => rule.names.includes("bpf"))).toBe(false);
  const admin = generate({ CapAdd: ["SYS_ADMIN"] }).spec.linux.seccomp?.syscalls ?? [];
  expect(admin.some((rule) => rule.names.includes("bpf"))).toBe(true);
});

test("capabilities are added and dropped by any spelling; unknown ones are refused in Docker's words", () => {
  const of = (host: HostConfig) => generate(host).spec.process.capabilities.bounding;
  expect(of({ CapAdd: ["net_admin"], CapDrop: ["CAP_MKNOD"] })).toContain("CAP_NET_ADMIN");
  expect(of({ CapDrop: ["CAP_MKNOD"] })).not.toContain("CAP_MKNOD");
  expect(of({ CapDrop: ["ALL"], CapAdd: ["chown"] })).toEqual(["CAP_CHOWN"]);
  expect(of({ CapAdd: ["all"], CapDrop: ["SYS_ADMIN"] })).toContain("CAP_BPF");
  expect(of({ CapAdd: ["all"], CapDrop: ["SYS_ADMIN"] })).not.toContain("CAP_SYS_ADMIN");
  expect(() => of({ CapAdd: ["NOPE"] })).toThrow('invalid CapAdd: unknown capability: "CAP_NOPE"');
  expect(() => of({ CapDrop: ["NOPE"] })).toThrow('invalid CapDrop: unknown capability: "CAP_NOPE"');
  const held = generate({ CapAdd: ["SYS_RESOURCE"] });
  expect(held.spec.process.capabilities.bounding).not.toContain("CAP_SYS_RESOURCE");
  expect(held.warnings.join()).toContain("CAP_SYS_RESOURCE");
  expect(held.spec.process.capabilities.inheritable).toBeUndefined();
});

test("privileged takes what the daemon holds, all devices but the container's own, and no masks or filter", () => {
  const { spec } = generate({ Privileged: true });
  expect(spec.process.capabilities.bounding).toEqual([...facts.capabilities]);
  expect(spec.linux.devices?.map((device) => device.path)).toEqual(["/dev/kvm", "/dev/sda"]);
  expect(spec.linux.resources.devices).toEqual([{ allow: true, access: "rwm" }] as never);
  expect(spec.linux.maskedPaths).toBeUndefined();
  expect(spec.linux.seccomp).toBeUndefined();
  expect(mountAt(spec, "/sys")?.options).not.toContain("ro");
  expect(mountAt(spec, "/sys/fs/cgroup")?.options).not.toContain("ro");
});

test("security options are understood in both spellings and refused when unknown", () => {
  expect(generate({ SecurityOpt: ["no-new-privileges"] }).spec.process.noNewPrivileges).toBe(true);
  expect(generate({ SecurityOpt: ["no-new-privileges=false"] }).spec.process.noNewPrivileges).toBeUndefined();
  expect(generate({ SecurityOpt: ["seccomp:unconfined"] }).spec.linux.seccomp).toBeUndefined();
  const own = generate({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}'] });
  expect(own.spec.linux.seccomp).toEqual({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [] } as never);
  expect(() => generate({ SecurityOpt: ["seccomp={"] })).toThrow("Decoding seccomp profile failed");
  expect(() => generate({ SecurityOpt: ["nonsense"] })).toThrow('invalid --security-opt 1: "nonsense"');
  expect(() => generate({ SecurityOpt: ["what=ever"] })).toThrow('invalid --security-opt 2: "what=ever"');
  expect(generate({ MaskedPaths: [], ReadonlyPaths: [] }).spec.linux).toMatchObject({
    maskedPaths: [],
    readonlyPaths: [],
  });
});

test("mounts: a request's replaces a default, deeper ones come later, read-only reaches below, tmpfs options merge", () => {
  const mount = (target: string, extra: object = {}) =>
    ({ target, source: "/src", type: "bind", readonly: false, options: [], ...extra }) as const;
  const { spec } = generate(
    { ReadonlyRootfs: true },
    {
      mounts: [
        mount("/a/b/c"),
        mount("/a", { readonly: true }),
        mount("/dev/shm"),
        mount("/flat", { readonly: true, options: ["ro-non-recursive", "rslave"] }),
        mount("/run", { type: "tmpfs", options: ["exec", "size=1m"] }),
      ],
    },
  );
  const targets = spec.mounts.map((entry) => entry.destination);
  expect(targets.indexOf("/a")).toBeLessThan(targets.indexOf("/a/b/c"));
  expect(targets.filter((target) => target === "/dev/shm")).toHaveLength(1);
  expect(mountAt(spec, "/dev/shm")?.source).toBe("/src");
  expect(mountAt(spec, "/a")?.options).toEqual(["rbind", "rprivate", "rro", "ro"]);
  expect(mountAt(spec, "/flat")?.options).toEqual(["rslave", "rbind", "ro"]);
  expect(mountAt(spec, "/run")?.options).toEqual(["nosuid", "nodev", "exec", "size=1m"]);
  expect(mountAt(spec, "/dev")?.options).not.toContain("ro");
  expect(() => generate({}, { mounts: [mount("rel")] })).toThrow("invalid mount path: 'rel'");
  const dev = generate({}, { mounts: [mount("/dev")] }).spec;
  expect(mountAt(dev, "/dev/pts")).toBeUndefined();
});

test("namespaces are new, joined or the host's; a user namespace brings its mappings", () => {
  const map = { containerID: 0, hostID: 100_000, size: 65_536 };
  const { spec } = generate(
    {},
    {
      namespaces: { ...hidden, pid: "host", network: "/proc/7/ns/net", cgroup: "private", user: "private" },
      idMappings: { uid: [map], gid: [map] },
    },
  );
  expect(spec.linux.namespaces).toEqual([
    { type: "mount" },
    { type: "network", path: "/proc/7/ns/net" },
    { type: "uts" },
    { type: "ipc" },
    { type: "user" },
    { type: "cgroup" },
  ]);
  expect(spec.linux.uidMappings).toEqual([map]);
  expect(spec.linux.sysctl).toBeUndefined();
  expect(mountAt(spec, "/sys/fs/cgroup")?.options).not.toContain("ro");
});

test("ulimits override the daemon's by name and are lowered to what it may give", () => {
  const { spec, warnings } = generate(
    {
      Ulimits: [
        { Name: "nofile", Soft: 1024, Hard: 1_000_000 },
        { Name: "core", Soft: -1, Hard: -1 },
      ],
    },
    { defaultUlimits: [{ Name: "nofile", Soft: 5, Hard: 5 }] },
  );
  expect(spec.process.rlimits).toEqual([
    { type: "RLIMIT_NOFILE", hard: 20_000, soft: 1024 },
    { type: "RLIMIT_CORE", hard: 2 ** 64, soft: 2 ** 64 },
  ]);
  expect(warnings.join()).toContain("nofile");
  expect(stringifySpec(spec)).toContain('"hard":18446744073709551615,"soft":18446744073709551615');
  expect(() => generate({ Ulimits: [{ Name: "bogus", Soft: 1, Hard: 1 }] })).toThrow(
    "invalid ulimit type: bogus",
  );
  expect(() => generate({ Ulimits: [{ Name: "nofile", Soft: 2, Hard: 1 }] })).toThrow(
    "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
  );
});

test("sysctls are limited to the container's own namespaces and to one line", () => {
  expect(generate({ Sysctls: { "net.core.somaxconn": "9" } }).spec.linux.sysctl).toMatchObject({
    "net.core.somaxconn": "9",
  });
  const refuse = (
    name: string,
    value: string,
    text: string,
    namespaces: Partial<SpecInput["namespaces"]> = {},
  ) =>
    expect(() =>
      generate({ Sysctls: { [name]: value } }, { namespaces: { ...input().namespaces, ...namespaces } }),
    ).toThrow(text);
  refuse(
    "kernel.core_pattern",
    "|/bin/x",
    'sysctl "kernel.core_pattern" is not in a separate kernel namespace',
  );
  refuse("net.core.somaxconn", "9", "not allowed in host network namespace", { network: "host" });
  refuse("kernel.shmmax", "9", "is not allowed in the hosts ipc namespace", { ipc: "host" });
  refuse("net.core.somaxconn", "9\nkernel.core_pattern=x", "invalid value");
  refuse("net.core.somaxconn", "9+kernel.core_pattern=x", "invalid value");
  refuse("net/../kernel/core_pattern", "x", "invalid sysctl name");
  refuse("kernel.hostname", "x", "conflicts with the OCI field");
});

test("devices: nodes, whole directories, rules, CDI requests; what is not there is refused in Docker's words", () => {
  const { spec } = generate({
    Devices: [{ PathOnHost: "/dev/kvm", PathInContainer: "/dev/mykvm", CgroupPermissions: "r" }],
    DeviceCgroupRules: ["c 42:* rmw"],
    DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["acme.com/gpu=all"] }],
  });
  expect(spec.linux.devices?.map((device) => device.path)).toEqual(["/dev/mykvm", "/dev/acme0"]);
  expect(spec.linux.resources.devices.slice(8)).toEqual([
    { allow: true, type: "c", major: 10, minor: 232, access: "r" },
    { allow: true, type: "c", major: 42, access: "rmw" },
    { allow: true, type: "c", major: 10, minor: 232, access: "rwm" },
  ] as never);
  expect(spec.process.env).toContain("ACME=1");
  expect(mountAt(spec, "/usr/lib/acme")?.source).toBe("/usr/lib/acme");
  expect(spec.hooks?.["createContainer"]).toEqual([{ path: "/bin/hook" }]);
  expect(() => generate({ Devices: [{ PathOnHost: "/nope" }] })).toThrow(
    'error gathering device information while adding custom device "/nope": no such file or directory',
  );
  expect(() => generate({ DeviceCgroupRules: ["x 1:1 r"] })).toThrow(
    "invalid device cgroup rule format: 'x 1:1 r'",
  );
  expect(() => generate({ DeviceRequests: [{ Driver: "", Capabilities: [["gpu"]], Count: -1 }] })).toThrow(
    'could not select device driver "" with capabilities: [[gpu]]',
  );
  expect(() => generate({ DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["a.com/b=c"] }] })).toThrow(
    "CDI device injection failed: unresolvable CDI devices a.com/b=c",
  );
});

test("resources become the specification's, with swap twice the memory and CPUs as quota", () => {
  const { spec } = generate({
    Memory: 64 << 20,
    NanoCpus: 1_500_000_000,
    CpuShares: 1,
    PidsLimit: -1,
    CpusetCpus: "0-1",
    OomKillDisable: true,
    BlkioDeviceReadBps: [{ Path: "/dev/sda", Rate: 1000 }],
    BlkioWeight: 300,
  });
  expect(spec.linux.resources).toMatchObject({
    memory: { limit: 64 << 20, swap: 128 << 20, disableOOMKiller: true },
    cpu: { quota: 150_000, period: 100_000, shares: 2, cpus: "0-1" },
    pids: { limit: -1 },
    blockIO: { weight: 300, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }] },
  });
  expect(generateResources({ MemorySwap: -1, Memory: 8 << 20 }, facts)).toEqual({
    memory: { limit: 8 << 20, swap: -1 },
  });
  // An update to 0 takes a limit away; a container that begins with 0 has none to take away.
  expect(generateResources({ PidsLimit: 0 }, facts)).toEqual({ pids: { limit: -1 } });
  expect(generateResources({ CpuShares: 9 }, facts)).toEqual({ cpu: { shares: 9 } });
  expect(generate({ PidsLimit: 0 }).spec.linux.resources["pids"]).toBeUndefined();
});

test("resources that contradict themselves are refused in Docker's words", () => {
  const cases: [HostConfig, string][] = [
    [{ Memory: 1024 }, "Minimum memory limit allowed is 6MB"],
    [
      { Memory: 8 << 20, MemorySwap: 7 << 20 },
      "Minimum memoryswap limit should be larger than memory limit, see usage",
    ],
    [
      { MemorySwap: 8 << 20 },
      "You should always set the Memory limit when using Memoryswap limit, see usage",
    ],
    [{ MemorySwappiness: 101 }, "Invalid value: 101, valid memory swappiness range is 0-100"],
    [{ MemoryReservation: 1 }, "Minimum memory reservation allowed is 6MB"],
    [{ NanoCpus: 3e9 }, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"],
    [{ NanoCpus: 1e9, CpuQuota: 5000 }, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"],
    [
      { CpuPeriod: 10 },
      "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ],
    [{ CpusetCpus: "9" }, "Requested CPUs are not available - requested 9, available: 0-1"],
    [{ CpusetCpus: "x" }, "Invalid value x for cpuset cpus"],
    [{ BlkioWeight: 5 }, "Range of blkio weight is from 10 to 1000"],
    [{ OomScoreAdj: 1001 }, "Invalid value 1001, range for oom score adj is [-1000, 1000]"],
    [{ ShmSize: -1 }, "SHM size can not be less than 0"],
  ];
  for (const [host, text] of cases) expect(() => generate(host)).toThrow(text);
  expect(() => validateResources({ MemorySwap: 8 << 20 }, facts, { update: true })).not.toThrow();
});

test("what the kernel cannot do is dropped with Docker's warning", () => {
  const none = Object.fromEntries(
    Object.keys(everything).map((name) => [name, false]),
  ) as unknown as typeof everything;
  const { spec, warnings } = generate(
    { Memory: 64 << 20, PidsLimit: 5, BlkioWeight: 100, CpuShares: 5, CpusetCpus: "0", OomKillDisable: true },
    { kernel: { ...facts, cgroupFeatures: none } },
  );
  expect(Object.keys(spec.linux.resources)).toEqual(["memory", "devices"]);
  expect(warnings).toContain(
    "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
  );
  expect(warnings).toHaveLength(6);
});

test("--init runs the program under the host's init, in a PID namespace of its own only", () => {
  const init = { path: "/usr/bin/tini-static" };
  const { spec } = generate({}, { init });
  expect(spec.process.args).toEqual(["/sbin/docker-init", "--", "sh"]);
  expect(mountAt(spec, "/sbin/docker-init")).toMatchObject({
    source: init.path,
    options: ["bind", "ro", "rprivate"],
  });
  const shared = generate({}, { init, namespaces: { ...input().namespaces, pid: "host" } });
  expect(shared.spec.process.args).toEqual(["sh"]);
});

test("the host's message queues are bound where the host has them, else mounted where that is allowed", () => {
  const queues = (exists: boolean, user: string, ipc: string) => {
    const kernel = {
      ...facts,
      devices: { ...facts.devices, exists: (path: string) => exists && path === "/dev/mqueue" },
    };
    const { spec } = generate({}, { kernel, namespaces: { ...input().namespaces, ipc, user } });
    return spec.mounts.find((mount) => mount.destination === "/dev/mqueue")?.source;
  };
  expect(queues(true, "host", "host")).toBe("/dev/mqueue");
  expect(queues(false, "host", "host")).toBe("mqueue");
  expect(queues(false, "private", "host")).toBeUndefined();
  expect(queues(false, "private", "private")).toBe("mqueue");
});

test("AppArmor: the default also by Docker's name, none for the privileged, and what is asked for", () => {
  const kernel = { ...facts, apparmor: true, apparmorProfile: "tug-default" };
  const profile = (host: HostConfig) => apparmorProfileOf(host, kernel);
  expect(profile({})).toBe("tug-default");
  expect(profile({ SecurityOpt: ["apparmor=docker-default"] })).toBe("tug-default");
  expect(profile({ SecurityOpt: ["apparmor:mine"], Privileged: true })).toBe("mine");
  expect(profile({ Privileged: true })).toBe("unconfined");
  expect(apparmorProfileOf({}, facts)).toBeUndefined();
});

test("an unprivileged daemon never asks to lower the OOM score, and reserved annotations do not pass", () => {
  expect(generate({ OomScoreAdj: -500 }).spec.process.oomScoreAdj).toBeUndefined();
  expect(generate({ OomScoreAdj: 500 }).spec.process.oomScoreAdj).toBe(500);
  // One that is protected itself (OOMScoreAdjust= of its unit) does not hand that on.
  expect(generate().spec.process.oomScoreAdj).toBeUndefined();
  expect(generate({}, { kernel: { ...facts, ownOomScore: -500 } }).spec.process.oomScoreAdj).toBe(0);
  const { spec } = generate({}, { annotations: { "run.oci.hooks.stdout": "/etc/passwd", "org.acme": "1" } });
  expect(spec.annotations).toEqual({ "org.acme": "1" });
});

test("a working directory among a process's descriptors is refused", () => {
  for (const cwd of ["/proc/self/fd/8", "/proc/self/fd/8/../../..", "/proc/1/root", "//proc//self//cwd"])
    expect(() => generate({}, { cwd })).toThrow("is invalid");
  expect(() => generate({}, { cwd: "relative" })).toThrow("it needs to be an absolute path");
});

test("an exec has the container's rights and merges its environment; privileged has the daemon's", () => {
  const container = generateSpec(input({ CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges"] })).spec;
  const base = {
    container,
    args: ["id"],
    env: ["A=2", "B"],
    cwd: undefined,
    tty: true,
    user: undefined,
    kernel: facts,
  };
  const process = generateExecProcess({ ...base, privileged: false });
  expect(process).toMatchObject({ args: ["id"], cwd: "/", terminal: true, noNewPrivileges: true });
  expect(process.env).toEqual(["PATH=/bin", "TERM=xterm", "A=2"]);
  expect(process.capabilities?.["bounding"]).toEqual([]);
  const privileged = generateExecProcess({ ...base, privileged: true });
  expect(privileged.capabilities?.["bounding"]).toEqual(facts.capabilities);
  expect(mergeEnv(["A=1", "B=1"], ["A=2", "B"])).toEqual(["A=2"]);
});
