import { invalid } from "../../base/lib/errors.ts";
import type { ContainerConfig, HostConfig, Resources } from "../../base/spec/docker/api.gen.ts";
import type { TugHealthConfig, TugHostConfig } from "../../base/spec/docker/extensions.ts";
import type { Client } from "../../client/client.ts";
import type { CreateSpec } from "../../client/containers/create.ts";
import type { Values } from "../flags/flag.ts";
import { effectiveCapabilities } from "./capabilities.ts";
import { parseDevices } from "./devices.ts";
import { pairsToMap, readKeyValueFile } from "./environment.ts";
import type { containerFlags } from "./flags.ts";
import { parseRestart } from "./limits.ts";
import { isMac, networkConfig } from "./networks.ts";
import { parsePorts } from "./ports.ts";
import { parseSecurity } from "./security.ts";
import { parseTmpfs, parseVolumes } from "./volumes.ts";

type Options = Values<typeof containerFlags>;

/** What the spec depends on besides the flags. */
export interface SpecInput {
  readonly values: Options;
  readonly changed: ReadonlySet<string>;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Proxy variables of the client's configuration, for names that are not set. */
  readonly proxies: readonly string[];
}

/** A parsed `run` or `create`: what to ask the daemon for. Daemon-version questions are answered when it is asked for. */
export function containerSpec(input: SpecInput): (client: Client) => CreateSpec {
  const { values, changed, image, command } = input;
  const attach = new Set(values.attach);
  const ports = parsePorts(values.publish, values.expose);
  const volumes = parseVolumes(values.volume);
  const security = parseSecurity(values["security-opt"]);
  const capabilities = effectiveCapabilities(values["cap-add"], values["cap-drop"]);
  const network = networkConfig(values.network, {
    aliases: values["network-alias"],
    links: values.link,
    ip: values.ip,
    ip6: values.ip6,
    mac: values["mac-address"],
    linkLocal: values["link-local-ip"],
  });
  const swappiness = values["memory-swappiness"];
  if (values["mac-address"] !== "" && !isMac(values["mac-address"])) {
    throw invalid(`${values["mac-address"]} is not a valid mac address`);
  }
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw invalid(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  }
  const { resources, cdi } = limits(values);
  const environment = [
    ...values["env-file"].flatMap((path) => readKeyValueFile(path, input.env)),
    ...values.env,
  ];
  const named = new Set(values.env.map((item) => item.split("=")[0]));
  const labels = [
    ...values["label-file"].flatMap((path) => readKeyValueFile(path, undefined)),
    ...values.label,
  ];
  modes(values);
  const restart = parseRestart(values.restart);
  if (values.rm && restart.Name !== undefined && restart.Name !== "no" && restart.Name !== "") {
    throw invalid("conflicting options: cannot specify both --restart and --rm");
  }
  if (values["log-driver"] === "none" && values["log-opt"].length > 0) {
    throw invalid(`invalid logging opts for driver none`);
  }
  const config: ContainerConfig = {
    Hostname: values.hostname,
    Domainname: values.domainname,
    User: values.user,
    AttachStdin: attach.has("stdin") || values.interactive,
    AttachStdout: attach.size === 0 || attach.has("stdout"),
    AttachStderr: attach.size === 0 || attach.has("stderr"),
    ExposedPorts: ports.exposed,
    Tty: values.tty,
    OpenStdin: values.interactive,
    StdinOnce: values.interactive,
    Env: [...input.proxies.filter((item) => !named.has(item.split("=")[0])), ...environment],
    ...(command.length > 0 ? { Cmd: [...command] } : {}),
    Image: image,
    Volumes: volumes.anonymous,
    WorkingDir: values.workdir,
    ...(changed.has("entrypoint") ? { Entrypoint: [values.entrypoint] } : {}),
    Labels: pairsToMap(labels),
    ...(values["stop-signal"] === "" ? {} : { StopSignal: values["stop-signal"] }),
    ...(changed.has("stop-timeout") ? { StopTimeout: values["stop-timeout"] } : {}),
    ...health(values),
  };
  const host: TugHostConfig = {
    Binds: volumes.binds,
    ContainerIDFile: values.cidfile,
    LogConfig: { Type: values["log-driver"], Config: pairsToMap(values["log-opt"]) },
    NetworkMode: network.mode,
    PortBindings: ports.bindings,
    RestartPolicy: restart,
    AutoRemove: values.rm,
    VolumeDriver: values["volume-driver"],
    VolumesFrom: [...values["volumes-from"]],
    ...(values.mount.length > 0 ? { Mounts: [...values.mount] } : {}),
    ...(Object.keys(values.annotation).length > 0 ? { Annotations: values.annotation } : {}),
    CapAdd: capabilities.add,
    CapDrop: capabilities.drop,
    CgroupnsMode: values.cgroupns,
    Dns: [...values.dns],
    DnsOptions: [...values["dns-option"]],
    DnsSearch: [...values["dns-search"]],
    ExtraHosts: [...values["add-host"]],
    GroupAdd: [...values["group-add"]],
    IpcMode: values.ipc,
    Links: [...values.link],
    OomScoreAdj: values["oom-score-adj"],
    PidMode: values.pid,
    Privileged: values.privileged,
    PublishAllPorts: values["publish-all"],
    ReadonlyRootfs: values["read-only"],
    SecurityOpt: security.options,
    ...(values["storage-opt"].length > 0 ? { StorageOpt: storageOptions(values["storage-opt"]) } : {}),
    ...(values.tmpfs.length > 0 ? { Tmpfs: parseTmpfs(values.tmpfs) } : {}),
    UTSMode: values.uts,
    UsernsMode: values.userns,
    ShmSize: values["shm-size"],
    ...(Object.keys(values.sysctl).length > 0 ? { Sysctls: values.sysctl } : {}),
    ...(values.runtime === "" ? {} : { Runtime: values.runtime }),
    Isolation: values.isolation,
    ...(security.unmasked ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
    ...(changed.has("init") ? { Init: values.init } : {}),
    ...resources,
    ...deviceRequests(values, cdi),
    ...(values.secret.length > 0 ? { Secrets: values.secret } : {}),
    ...(values["depends-on"].length > 0 ? { DependsOn: Object.fromEntries(values["depends-on"]) } : {}),
  };
  const mac = values["mac-address"] || (values.network[0]?.mac ?? "");
  return (client) => ({
    ...config,
    // Until API 1.44 the MAC address was the container's, since then it is the endpoint's.
    ...(mac === "" || client.speaks("1.44") ? {} : { MacAddress: mac }),
    HostConfig:
      values["kernel-memory"] === 0 || client.speaks("1.42")
        ? host
        : Object.assign({ KernelMemory: values["kernel-memory"] }, host), // gone since API 1.42
    NetworkingConfig: { EndpointsConfig: network.endpoints },
  });
}

function modes(values: Options): void {
  const joins = (mode: string) => mode.startsWith("container:") && mode.length > "container:".length;
  if (!["", "host", "private"].includes(values.pid) && !joins(values.pid))
    throw invalid("--pid: invalid PID mode");
  if (!["", "host", "private"].includes(values.uts)) throw invalid("--uts: invalid UTS mode");
  if (!["", "host", "private"].includes(values.userns) && !values.userns.startsWith("auto")) {
    throw invalid("--userns: invalid USER mode");
  }
  if (!["", "host", "private"].includes(values.cgroupns)) throw invalid("--cgroupns: invalid CGROUP mode");
}

function limits(values: Options): { resources: Resources; cdi: string[] } {
  const devices = parseDevices(values.device);
  const swappiness = values["memory-swappiness"];
  const resources: Resources = {
    CpuShares: values["cpu-shares"],
    Memory: values.memory,
    CgroupParent: values["cgroup-parent"],
    BlkioWeight: values["blkio-weight"],
    BlkioWeightDevice: [...values["blkio-weight-device"]],
    BlkioDeviceReadBps: [...values["device-read-bps"]],
    BlkioDeviceWriteBps: [...values["device-write-bps"]],
    BlkioDeviceReadIOps: [...values["device-read-iops"]],
    BlkioDeviceWriteIOps: [...values["device-write-iops"]],
    CpuPeriod: values["cpu-period"],
    CpuQuota: values["cpu-quota"],
    CpuRealtimePeriod: values["cpu-rt-period"],
    CpuRealtimeRuntime: values["cpu-rt-runtime"],
    CpusetCpus: values["cpuset-cpus"],
    CpusetMems: values["cpuset-mems"],
    Devices: devices.mappings,
    ...(values["device-cgroup-rule"].length > 0
      ? { DeviceCgroupRules: [...values["device-cgroup-rule"]] }
      : {}),
    MemoryReservation: values["memory-reservation"],
    MemorySwap: values["memory-swap"],
    ...(swappiness === -1 ? {} : { MemorySwappiness: swappiness }),
    NanoCpus: values.cpus,
    OomKillDisable: values["oom-kill-disable"],
    ...(values["pids-limit"] === 0 ? {} : { PidsLimit: values["pids-limit"] }),
    ...(values.ulimit.length > 0 ? { Ulimits: [...values.ulimit] } : {}),
    CpuCount: values["cpu-count"],
    CpuPercent: values["cpu-percent"],
    IOMaximumIOps: values["io-maxiops"],
    IOMaximumBandwidth: values["io-maxbandwidth"],
  };
  return { resources, cdi: devices.cdi };
}

function deviceRequests(values: Options, cdi: readonly string[]): Pick<HostConfig, "DeviceRequests"> {
  const requests = [...values.gpus, ...(cdi.length > 0 ? [{ Driver: "cdi", DeviceIDs: [...cdi] }] : [])];
  return requests.length > 0 ? { DeviceRequests: requests } : {};
}

function health(values: Options): { Healthcheck?: TugHealthConfig } {
  const settings = [
    ["interval", "Interval"],
    ["timeout", "Timeout"],
    ["start-period", "StartPeriod"],
    ["start-interval", "StartInterval"],
    ["retries", "Retries"],
  ] as const;
  const action = values["health-on-failure"];
  const given =
    values["health-cmd"] !== "" ||
    action !== undefined ||
    settings.some(([name]) => values[`health-${name}`] !== 0);
  if (values["no-healthcheck"]) {
    if (given) throw invalid("--no-healthcheck conflicts with --health-* options");
    return { Healthcheck: { Test: ["NONE"] } };
  }
  if (!given) return {};
  const check: TugHealthConfig =
    values["health-cmd"] === "" ? {} : { Test: ["CMD-SHELL", values["health-cmd"]] };
  for (const [name, field] of settings) {
    const value = values[`health-${name}`];
    if (value < 0) throw invalid(`--health-${name} cannot be negative`);
    if (value !== 0) check[field] = value;
  }
  if (action !== undefined) check.OnFailure = action;
  return { Healthcheck: check };
}

function storageOptions(values: readonly string[]): Record<string, string> {
  if (values.some((value) => !value.includes("="))) throw invalid("invalid storage option");
  return pairsToMap(values);
}
