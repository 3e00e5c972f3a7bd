import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { HostConfig } from "../../../src/base/spec/docker/api.gen.ts";
import { eventually } from "../../harness/daemon.ts";
import { cgroup, type Field, type Looked } from "./field.ts";

const options = "test/parity/stories/options.ts";
const mebi = 2 ** 20;
const onlyV2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

/** The first disk of this machine, as a device and as "major:minor". */
const disk = readdirSync("/sys/block").find((name) => /^(?:[svx]?vd|sd|nvme|loop)/.test(name)) ?? "loop0";
const numbers = readFileSync(`/sys/block/${disk}/dev`, "utf8").trim();
const throttle = (v1: string, v2: string): Field => ({
  value: [{ Path: `/dev/${disk}`, Rate: 12_345_678 }],
  script: cgroup(`blkio/blkio.throttle.${v1}_device`, "io.max"),
  prints: new RegExp(`^${numbers} .*(?:${v2}=)?12345678`, "m"),
  warned: /Block/,
});

/** The container's mounted OCI configuration, wherever the daemon keeps it. */
function ociConfig({ daemon, id }: Looked): string {
  for (const root of [daemon.execRoot, daemon.dataRoot]) {
    for (const path of new Bun.Glob(`**/${id}/**/config.json`).scanSync({ cwd: root, dot: true }))
      return readFileSync(join(root, path), "utf8");
  }
  throw new Error(`no config.json of ${id}`);
}

/** Every member of HostConfig; the compiler asks for those that are missing. */
export const hostConfig: { readonly [member in keyof Required<HostConfig>]: Field } = {
  CpuShares: { value: 512, script: cgroup("cpu/cpu.shares", "cpu.weight"), prints: /^(?:512|20|59)$/ },
  Memory: {
    value: 64 * mebi,
    script: cgroup("memory/memory.limit_in_bytes", "memory.max"),
    prints: /^67108864$/,
  },
  CgroupParent: {
    value: "/tug-fields",
    look: async ({ inspect }) =>
      expect(readFileSync(`/proc/${(await inspect()).State.Pid}/cgroup`, "utf8")).toContain("/tug-fields/"),
  },
  BlkioWeight: {
    value: 300,
    shown: undefined,
    script: `${cgroup("blkio/blkio.bfq.weight", "io.bfq.weight")} | tail -1`,
    prints: /\b300$/,
    warned: /Block I\/O weight .*Weight discarded/,
  },
  BlkioWeightDevice: {
    value: [{ Path: `/dev/${disk}`, Weight: 300 }],
    shown: undefined,
    script: cgroup("blkio/blkio.bfq.weight_device", "io.bfq.weight"),
    prints: new RegExp(`${numbers} 300`),
    warned: /Weight-device discarded/,
  },
  BlkioDeviceReadBps: throttle("read_bps", "rbps"),
  BlkioDeviceWriteBps: throttle("write_bps", "wbps"),
  BlkioDeviceReadIOps: throttle("read_iops", "riops"),
  BlkioDeviceWriteIOps: throttle("write_iops", "wiops"),
  CpuPeriod: {
    value: 50_000,
    script: cgroup("cpu/cpu.cfs_period_us", "cpu.max"),
    prints: /\b50000$/,
  },
  CpuQuota: { value: 30_000, script: cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), prints: /^30000\b/ },
  CpuRealtimePeriod: {
    value: 900_000,
    script: cgroup("cpu/cpu.rt_period_us", "nosuch"),
    prints: /^900000$/,
    lacking: "kernel does not support CPU real-time scheduler",
  },
  // Our own cgroup has no real-time budget that could be shared: that the runtime cannot write it shows that it tries.
  CpuRealtimeRuntime: { value: 100_000, refused: /cpu\.rt_runtime_us|does not support CPU real-time/ },
  CpusetCpus: {
    value: "0",
    script: cgroup("cpuset/cpuset.cpus", "cpuset.cpus"),
    prints: /^0$/,
  },
  CpusetMems: { value: "0", look: (container) => expect(ociConfig(container)).toContain('"mems":"0"') },
  Devices: {
    value: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/nn", CgroupPermissions: "rwm" }],
    script: "ls /dev/nn",
    prints: /^\/dev\/nn$/,
  },
  DeviceCgroupRules: {
    value: ["c 10:237 rw"],
    script: "mknod /tmp/x c 10 237; (: </tmp/x) 2>&1 | grep -c 'not permitted'",
    prints: /^0$/,
  },
  DeviceRequests: {
    value: [{ Driver: "nosuch", Count: 1, DeviceIDs: [], Capabilities: [["gpu"]], Options: {} }],
    refused: 'could not select device driver "nosuch" with capabilities: [[gpu]]',
  },
  MemoryReservation: {
    value: 32 * mebi,
    script: cgroup("memory/memory.soft_limit_in_bytes", "memory.low"),
    prints: /^33554432$/,
  },
  MemorySwap: {
    value: 96 * mebi,
    host: { Memory: 64 * mebi },
    script: cgroup("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
    prints: /^(?:100663296|33554432)$/,
    warned: /swap limit/,
  },
  MemorySwappiness: {
    value: 10,
    script: cgroup("memory/memory.swappiness", "nosuch"),
    prints: /^10$/,
    warned: /swappiness discarded/,
  },
  NanoCpus: {
    value: 5e8,
    script: cgroup("cpu/cpu.cfs_quota_us", "cpu.max"),
    prints: /^50000\b/,
  },
  OomKillDisable: {
    value: true,
    host: { Memory: 64 * mebi },
    script: cgroup("memory/memory.oom_control", "nosuch"),
    prints: /oom_kill_disable 1/,
    warned: /OomKillDisable discarded/,
  },
  Init: { value: true, script: "cat /proc/1/comm", prints: /init|tini|catatonit/ },
  PidsLimit: { value: 33, script: cgroup("pids/pids.max", "pids.max"), prints: /^33$/ },
  Ulimits: { value: [{ Name: "nofile", Soft: 77, Hard: 88 }], script: "ulimit -n", prints: /^77$/ },
  CpuCount: { value: 1, shown: 0, warned: /does not support CPU count. Count discarded/ },
  CpuPercent: { value: 10, shown: 0, warned: /does not support CPU percent. Percent discarded/ },
  IOMaximumIOps: {
    value: 5,
    refused: "invalid option: QoS maximum IOPs configuration is not supported on linux",
  },
  IOMaximumBandwidth: {
    value: 5,
    refused: "invalid option: QoS maximum bandwidth configuration is not supported on linux",
  },
  Binds: { value: ["/usr/share:/bound:ro"], script: "grep ' /bound ' /proc/mounts", prints: / ro,/ },
  ContainerIDFile: { value: "/run/x.cid", kept: "the client wrote that file" },
  LogConfig: {
    value: { Type: "none", Config: {} },
    look: async ({ daemon, id }) => {
      const logs = await daemon.tug(["logs", id]);
      expect(logs.stderr).toContain("configured logging driver does not support reading");
    },
  },
  NetworkMode: { value: "none", script: "ls /sys/class/net", prints: /^lo$/ },
  PortBindings: {
    value: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
    shown: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
    host: { NetworkMode: "bridge" },
    look: async ({ inspect }) =>
      expect((await inspect()).NetworkSettings.Ports["80/tcp"]?.[0]?.HostPort).toMatch(/^\d+$/),
  },
  RestartPolicy: {
    value: { Name: "on-failure", MaximumRetryCount: 1 },
    config: { Cmd: ["sh", "-c", "exit 4"] },
    ended: true,
    look: ({ inspect }) =>
      eventually("restarted once", async () => {
        const now = await inspect();
        return now.RestartCount === 1 && now.State.Status === "exited";
      }),
  },
  AutoRemove: {
    value: true,
    ended: true,
    look: ({ daemon, id }) =>
      eventually("removed", async () => (await daemon.api("GET", `/containers/${id}/json`)).status === 404),
  },
  VolumeDriver: { value: "nosuch", host: { Binds: ["vol:/v"] }, refused: "plugin nosuch" },
  VolumesFrom: { value: ["source"], script: "grep -c ' /shared ' /proc/mounts", prints: /^1$/ },
  Mounts: {
    value: [{ Type: "tmpfs", Target: "/mm", TmpfsOptions: { SizeBytes: mebi } }],
    script: "df -k /mm | tail -1 | awk '{print $2}'",
    prints: /^1024$/,
  },
  ConsoleSize: { value: [33, 99], config: { Tty: true }, script: "stty size", prints: /^33 99/ },
  Annotations: {
    value: { "org.example.a": "b" },
    look: (container) => expect(ociConfig(container)).toContain('"org.example.a":"b"'),
  },
  CapAdd: {
    value: ["SYS_TIME"],

    script: "grep CapEff /proc/self/status",
    prints: /0000aa0425fb$/,
  },
  CapDrop: { value: ["ALL"], script: "grep CapEff /proc/self/status", prints: /0{16}/ },
  // What is no default: private on v1, host on v2.
  CgroupnsMode: {
    value: onlyV2 ? "host" : "private",
    look: async ({ inspect }) => {
      const own = readlinkSync(`/proc/${(await inspect()).State.Pid}/ns/cgroup`);
      expect(own === readlinkSync("/proc/self/ns/cgroup")).toBe(onlyV2);
    },
  },
  Dns: { value: ["9.8.7.6"], script: "cat /etc/resolv.conf", prints: /nameserver 9\.8\.7\.6/ },
  DnsOptions: { value: ["ndots:7"], script: "cat /etc/resolv.conf", prints: /ndots:7/ },
  DnsSearch: { value: ["example.org"], script: "cat /etc/resolv.conf", prints: /search example\.org/ },
  ExtraHosts: { value: ["xx:9.8.7.6"], script: "grep xx /etc/hosts", prints: /9\.8\.7\.6\s+xx/ },
  GroupAdd: { value: ["77"], script: "id -G", prints: /\b77\b/ },
  IpcMode: { value: "none", script: "grep -c ' /dev/shm ' /proc/mounts", prints: /^0$/ },
  Cgroup: { value: "container:x", warned: /The cgroup "container:x" is discarded/ },
  Links: { value: ["source:alias"], shown: ["/source:/field/alias"], proven: [options, '"srv:db"'] },
  OomScoreAdj: { value: 321, script: "cat /proc/self/oom_score_adj", prints: /^321$/ },
  PidMode: {
    value: "host",
    look: async ({ inspect }) =>
      expect(readlinkSync(`/proc/${(await inspect()).State.Pid}/ns/pid`)).toBe(
        readlinkSync("/proc/self/ns/pid"),
      ),
  },
  Privileged: {
    value: true,
    look: async ({ inspect }) => {
      const sets = (pid: number | string, which: string) =>
        new RegExp(`^${which}:\\s*(\\w+)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      expect(sets((await inspect()).State.Pid, "CapEff")).toBe(sets("self", "CapBnd"));
    },
  },
  PublishAllPorts: {
    value: true,
    config: { ExposedPorts: { "81/tcp": {} } },
    host: { NetworkMode: "bridge" },
    look: async ({ inspect }) =>
      expect((await inspect()).NetworkSettings.Ports["81/tcp"]?.[0]?.HostPort).toMatch(/^\d+$/),
  },
  ReadonlyRootfs: { value: true, script: "touch /x 2>&1; true", prints: /Read-only file system/ },
  SecurityOpt: { value: ["no-new-privileges"], script: "grep NoNewPrivs /proc/self/status", prints: /1$/ },
  StorageOpt: { value: { nosuch: "1" }, refused: "Unknown option nosuch" },
  Tmpfs: { value: { "/tt": "size=1m" }, script: "df -k /tt | tail -1 | awk '{print $2}'", prints: /^1024$/ },
  UTSMode: { value: "host", script: "hostname", prints: new RegExp(`^${hostname()}$`) },
  UsernsMode: { value: "host", proven: ["test/e2e/userns.test.ts", "--userns"] },
  ShmSize: { value: 2 * mebi, script: "df -k /dev/shm | tail -1 | awk '{print $2}'", prints: /^2048$/ },
  Sysctls: {
    value: { "net.core.somaxconn": "77" },
    script: "cat /proc/sys/net/core/somaxconn",
    prints: /^77$/,
  },
  Runtime: { value: "nosuch", refused: "unknown or invalid runtime name: nosuch" },
  Isolation: { value: "hyperv", refused: "invalid isolation (hyperv): linux only supports 'default'" },
  MaskedPaths: { value: ["/etc/passwd"], script: "wc -c </etc/passwd", prints: /^0$/ },
  ReadonlyPaths: { value: ["/tmp"], script: "touch /tmp/x 2>&1; true", prints: /Read-only file system/ },
};
