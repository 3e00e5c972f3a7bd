import { redactUrl } from "../../base/lib/redact-url.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import type { SystemInfo } from "../../base/spec/docker/api.gen.ts";
import type { SystemServiceDeps } from "./deps.ts";
import { countOwn, machineInfo } from "./host.ts";

/** GET /info. Every value is looked up or configured; what this engine does not have is absent or inactive. */
export async function systemInfo(deps: SystemServiceDeps): Promise<SystemInfo> {
  const { facts, host } = deps;
  const { cgroupFeatures: features } = host;
  const machine = machineInfo();
  const counts = deps.containers.counts();
  return {
    ID: facts.id,
    Containers: counts.total,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.total - counts.running - counts.paused,
    Images: deps.images.list().length,
    Driver: deps.snapshots.name,
    DriverStatus: deps.snapshots.status().map(([key, value]) => [key, value]),
    DockerRootDir: facts.dataRoot,
    Plugins: facts.plugins,
    MemoryLimit: features.memory,
    SwapLimit: features.swap,
    CpuCfsPeriod: features.cpuCfs,
    CpuCfsQuota: features.cpuCfs,
    CPUShares: features.cpuShares,
    CPUSet: features.cpuset,
    PidsLimit: features.pids,
    OomKillDisable: features.oomKillDisable,
    IPv4Forwarding: machine.ipv4Forwarding,
    Debug: facts.debug,
    NFd: countOwn("fd"),
    NGoroutines: countOwn("task"),
    SystemTime: formatRfc3339Nano(BigInt(Math.trunc(deps.clock.now())) * 1_000_000n),
    LoggingDriver: facts.logDriver,
    CgroupDriver: facts.cgroupDriver,
    CgroupVersion: host.cgroup === "v2" ? "2" : "1",
    NEventsListener: deps.events.listeners,
    KernelVersion: machine.kernelVersion,
    OperatingSystem: machine.operatingSystem,
    OSVersion: machine.osVersion,
    OSType: "linux",
    Architecture: machine.architecture,
    NCPU: machine.cpus,
    MemTotal: machine.memory,
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: registryConfig(deps),
    GenericResources: null as unknown as NonNullable<SystemInfo["GenericResources"]>,
    HttpProxy: redactUrl(facts.proxy.http),
    HttpsProxy: redactUrl(facts.proxy.https),
    NoProxy: facts.proxy.no,
    Name: machine.name,
    Labels: [...facts.labels],
    ExperimentalBuild: facts.experimental,
    ServerVersion: facts.version,
    Runtimes: { ...facts.runtimes },
    DefaultRuntime: facts.defaultRuntime,
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: facts.liveRestore ?? true,
    Isolation: "",
    InitBinary: facts.initBinary,
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: await runtimeVersion(deps) },
    InitCommit: { ID: "" },
    SecurityOptions: [...facts.securityOptions],
    ProductLicense: "Apache-2.0",
    DefaultAddressPools: facts.addressPools.map((pool) => ({ Base: pool.base, Size: pool.size })),
    FirewallBackend: facts.firewall,
    CDISpecDirs: [...facts.cdiSpecDirs],
    DiscoveredDevices: [],
    NRI: facts.nri,
    Warnings: [...facts.warnings, ...warnings(deps, machine.ipv4Forwarding)],
  };
}

function registryConfig(deps: SystemServiceDeps): NonNullable<SystemInfo["RegistryConfig"]> {
  const { insecureRegistries, registryMirrors } = deps.facts;
  const isNetwork = (name: string) => /^[0-9a-f:.]+\/\d+$/i.test(name);
  const indexes = insecureRegistries
    .filter((name) => !isNetwork(name))
    .map((name) => [name, { Name: name, Mirrors: [], Secure: false, Official: false }] as const);
  return {
    InsecureRegistryCIDRs: [...new Set([...insecureRegistries.filter(isNetwork), "::1/128", "127.0.0.0/8"])],
    IndexConfigs: {
      "docker.io": { Name: "docker.io", Mirrors: [...registryMirrors], Secure: true, Official: true },
      ...Object.fromEntries(indexes),
    },
    Mirrors: [...registryMirrors],
  };
}

async function runtimeVersion(deps: SystemServiceDeps): Promise<string> {
  const runtime = deps.components.find((component) => component.name === deps.facts.defaultRuntime);
  return (await runtime?.version()) ?? "";
}

/** Docker's lines for limits that this kernel cannot set. */
function warnings(deps: SystemServiceDeps, forwarding: boolean): readonly string[] {
  const { cgroupFeatures: features, cgroup } = deps.host;
  const lines: readonly (readonly [boolean, string])[] = [
    [features.memory, "WARNING: No memory limit support"],
    [features.swap, "WARNING: No swap limit support"],
    [features.oomKillDisable || cgroup === "v2", "WARNING: No oom kill disable support"],
    [features.cpuCfs, "WARNING: No cpu cfs quota support"],
    [features.cpuCfs, "WARNING: No cpu cfs period support"],
    [features.cpuShares, "WARNING: No cpu shares support"],
    [features.cpuset, "WARNING: No cpuset support"],
    [features.pids, "WARNING: No pids limit support"],
    [forwarding, "WARNING: IPv4 forwarding is disabled"],
  ];
  return lines.filter(([supported]) => !supported).map(([, line]) => line);
}
