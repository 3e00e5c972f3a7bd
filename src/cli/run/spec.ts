import { invalid } from "../../base/lib/errors.ts";
import type { ContainerConfig, RestartPolicy } from "../../base/spec/docker/api.gen.ts";
import type { TugHostConfig } from "../../base/spec/docker/extensions.ts";
import type { Client } from "../../client/client.ts";
import type { CreateSpec } from "../../client/containers/create.ts";
import type { ContainerOptions } from "./flags.ts";
import { healthCheck } from "./health-check.ts";
import { resourceLimits } from "./resource-limits.ts";
import { effectiveCapabilities } from "./values/capabilities.ts";
import { pairsToMap, readKeyValueFile } from "./values/environment.ts";
import { parseRestart } from "./values/limits.ts";
import { isMac, networkConfig } from "./values/networks.ts";
import { parsePorts } from "./values/ports.ts";
import { parseSecurity } from "./values/security.ts";
import { parseTmpfs, parseVolumes } from "./values/volumes.ts";

/** What the spec depends on besides the flags. */
export interface SpecInput {
  readonly values: ContainerOptions;
  readonly changed: ReadonlySet<string>;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Proxy variables of the client's configuration, for names that are not set. */
  readonly proxies: readonly string[];
}

/** A parsed `run` or `create`: what to ask the daemon for. Daemon-version questions are answered when it is asked for. */
export function containerSpec(input: SpecInput): (client: Client) => CreateSpec {
  const { values } = input;
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
  if (values["mac-address"] !== "" && !isMac(values["mac-address"])) {
    throw invalid(`${values["mac-address"]} is not a valid mac address`);
  }
  const resources = resourceLimits(values);
  const environment = environmentOf(input);
  const labels = labelsOf(values);
  checkModes(values);
  const restart = restartPolicy(values);
  checkLogOptions(values);
  const config: ContainerConfig = {
    ...ownConfig(input),
    ...streams(values),
    ExposedPorts: ports.exposed,
    Env: environment,
    Volumes: volumes.anonymous,
    Labels: labels,
    ...healthCheck(values),
  };
  const host: TugHostConfig = {
    ...ownHostConfig(input),
    ...isolation(values),
    ...storage(values),
    Binds: volumes.binds,
    NetworkMode: network.mode,
    PortBindings: ports.bindings,
    RestartPolicy: restart,
    CapAdd: capabilities.add,
    CapDrop: capabilities.drop,
    SecurityOpt: security.options,
    ...(security.unmasked ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
    ...resources,
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

/** The client's proxies, then files, then options: of equal names the last one counts. */
function environmentOf({ values, env, proxies }: SpecInput): string[] {
  const named = new Set(values.env.map((item) => item.split("=")[0]));
  return [
    ...proxies.filter((item) => !named.has(item.split("=")[0])),
    ...values["env-file"].flatMap((path) => readKeyValueFile(path, env)),
    ...values.env,
  ];
}

function labelsOf(values: ContainerOptions): Record<string, string> {
  const files = values["label-file"].flatMap((path) => readKeyValueFile(path, undefined));
  return pairsToMap([...files, ...values.label]);
}

function restartPolicy(values: ContainerOptions): RestartPolicy {
  const restart = parseRestart(values.restart);
  if (values.rm && restart.Name !== undefined && restart.Name !== "no" && restart.Name !== "") {
    throw invalid("conflicting options: cannot specify both --restart and --rm");
  }
  return restart;
}

function checkLogOptions(values: ContainerOptions): void {
  if (values["log-driver"] === "none" && values["log-opt"].length > 0) {
    throw invalid(`invalid logging opts for driver none`);
  }
}

function checkModes(values: ContainerOptions): void {
  const joins = (mode: string) => mode.startsWith("container:") && mode.length > "container:".length;
  if (!["", "host", "private"].includes(values.pid) && !joins(values.pid))
    throw invalid("--pid: invalid PID mode");
  if (!["", "host", "private"].includes(values.uts)) throw invalid("--uts: invalid UTS mode");
  if (!["", "host", "private"].includes(values.userns) && !values.userns.startsWith("auto")) {
    throw invalid("--userns: invalid USER mode");
  }
  if (!["", "host", "private"].includes(values.cgroupns)) throw invalid("--cgroupns: invalid CGROUP mode");
}

/** What is said of the program itself. */
function ownConfig({ values, changed, image, command }: SpecInput): ContainerConfig {
  return {
    Hostname: values.hostname,
    Domainname: values.domainname,
    User: values.user,
    ...(command.length > 0 ? { Cmd: [...command] } : {}),
    Image: image,
    WorkingDir: values.workdir,
    ...(changed.has("entrypoint") ? { Entrypoint: [values.entrypoint] } : {}),
    ...(values["stop-signal"] === "" ? {} : { StopSignal: values["stop-signal"] }),
    ...(changed.has("stop-timeout") ? { StopTimeout: values["stop-timeout"] } : {}),
  };
}

/** Which of its streams somebody holds the other end of. */
function streams(values: ContainerOptions): ContainerConfig {
  const attach = new Set(values.attach);
  return {
    AttachStdin: attach.has("stdin") || values.interactive,
    AttachStdout: attach.size === 0 || attach.has("stdout"),
    AttachStderr: attach.size === 0 || attach.has("stderr"),
    Tty: values.tty,
    OpenStdin: values.interactive,
    StdinOnce: values.interactive,
  };
}

/** How the daemon keeps the container, and what it finds by name. */
function ownHostConfig({ values, changed }: SpecInput): TugHostConfig {
  return {
    ContainerIDFile: values.cidfile,
    LogConfig: { Type: values["log-driver"], Config: pairsToMap(values["log-opt"]) },
    AutoRemove: values.rm,
    ...(Object.keys(values.annotation).length > 0 ? { Annotations: values.annotation } : {}),
    Dns: [...values.dns],
    DnsOptions: [...values["dns-option"]],
    DnsSearch: [...values["dns-search"]],
    ExtraHosts: [...values["add-host"]],
    Links: [...values.link],
    PublishAllPorts: values["publish-all"],
    ...(values.runtime === "" ? {} : { Runtime: values.runtime }),
    ...(changed.has("init") ? { Init: values.init } : {}),
    ...(values["depends-on"].length > 0 ? { DependsOn: Object.fromEntries(values["depends-on"]) } : {}),
  };
}

/** What the container shares with the host, and what it may do to it. */
function isolation(values: ContainerOptions): TugHostConfig {
  return {
    CgroupnsMode: values.cgroupns,
    GroupAdd: [...values["group-add"]],
    IpcMode: values.ipc,
    OomScoreAdj: values["oom-score-adj"],
    PidMode: values.pid,
    Privileged: values.privileged,
    UTSMode: values.uts,
    UsernsMode: values.userns,
    ...(Object.keys(values.sysctl).length > 0 ? { Sysctls: values.sysctl } : {}),
    Isolation: values.isolation,
  };
}

function storage(values: ContainerOptions): TugHostConfig {
  return {
    VolumeDriver: values["volume-driver"],
    VolumesFrom: [...values["volumes-from"]],
    ...(values.mount.length > 0 ? { Mounts: [...values.mount] } : {}),
    ReadonlyRootfs: values["read-only"],
    ...(values["storage-opt"].length > 0 ? { StorageOpt: storageOptions(values["storage-opt"]) } : {}),
    ...(values.tmpfs.length > 0 ? { Tmpfs: parseTmpfs(values.tmpfs) } : {}),
    ShmSize: values["shm-size"],
    ...(values.secret.length > 0 ? { Secrets: values.secret } : {}),
  };
}

function storageOptions(values: readonly string[]): Record<string, string> {
  if (values.some((value) => !value.includes("="))) throw invalid("invalid storage option");
  return pairsToMap(values);
}
