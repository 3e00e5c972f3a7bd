import { invalid } from "../../../base/lib/errors.ts";
import type { ContainerConfig, HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { CAPABILITIES } from "../../../base/sys/process/capabilities.ts";
import { parseCapabilities } from "../../../core/runtime/spec/capabilities.ts";
import { parseSecurityOptions } from "../../../core/runtime/spec/security-options.ts";
import { checkRestartPolicy } from "../../restart/policy.ts";
import { containerOfMode, parseNetworkMode } from "../network-mode.ts";
import { parsePortKeys, planPublications } from "../ports.ts";
import { checkSignal } from "../signals.ts";

/** Refuses a contradictory or malformed request before anything is made, in dockerd's words. Pure. */
export function validateConfig(config: ContainerConfig): void {
  if (config.WorkingDir && !config.WorkingDir.startsWith("/")) {
    throw invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  for (const entry of config.Env ?? []) {
    if (entry === "" || entry.startsWith("=")) throw invalid(`invalid environment variable: ${entry}`);
    if (entry.includes("\0")) throw invalid(`invalid environment variable: ${JSON.stringify(entry)}`);
  }
  for (const word of [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]) {
    if (word.includes("\0")) throw invalid(`invalid argument: ${JSON.stringify(word)}`);
  }
  if (Buffer.byteLength(config.Hostname ?? "") > 64) {
    throw invalid(`hostname ${JSON.stringify(config.Hostname)} is too long (maximum 64 bytes)`);
  }
  if (/[\0\n/]/.test(`${config.Hostname ?? ""}${config.Domainname ?? ""}`)) {
    throw invalid(`invalid hostname format: ${config.Hostname}`);
  }
  if (config.StopSignal) checkSignal(config.StopSignal);
  for (const key of Object.keys(config.ExposedPorts ?? {})) parsePortKeys(key);
  validateHealth(config.Healthcheck);
}

function validateHealth(health: ContainerConfig["Healthcheck"]): void {
  if (!health) return;
  const millisecond = 1_000_000;
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const value = health[name] ?? 0;
    if (value !== 0 && value < millisecond) throw invalid(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((health.Retries ?? 0) < 0) throw invalid("Retries in Healthcheck cannot be negative");
}

/** The same for HostConfig; `runtimes` are the names the daemon knows. */
export function validateHost(
  host: HostConfig,
  config: ContainerConfig,
  options: { readonly runtimes: readonly string[]; readonly warn: (text: string) => void },
): void {
  checkRestartPolicy(host.RestartPolicy);
  const restarts = !["", "no"].includes(host.RestartPolicy?.Name ?? "");
  if (host.AutoRemove && restarts) throw invalid("can't create 'AutoRemove' container with restart policy");
  for (const entry of host.ExtraHosts ?? []) checkExtraHost(entry);
  planPublications(config, host, "");
  parseCapabilities("CapAdd", host.CapAdd ?? [], CAPABILITIES);
  parseCapabilities("CapDrop", host.CapDrop ?? [], CAPABILITIES);
  checkModes(host, config, options.warn);
  if (host.Runtime && !options.runtimes.includes(host.Runtime)) {
    throw invalid(`unknown or invalid runtime name: ${host.Runtime}`);
  }
  if ((host.ShmSize ?? 0) < 0) throw invalid("SHM size can not be less than 0");
  const score = host.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) {
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
  if (host.Isolation && host.Isolation !== "default") {
    throw invalid(`invalid isolation (${host.Isolation}): linux only supports 'default'`);
  }
  // dockerd takes it, shows it and does nothing with it.
  if (host.Cgroup)
    options.warn(`The cgroup ${JSON.stringify(host.Cgroup)} is discarded: use --cgroup-parent`);
  parseSecurityOptions(host.SecurityOpt ?? []);
  for (const [name, value] of Object.entries(host.Sysctls ?? {})) checkSysctl(name, value, host);
}

/** `name:ip`, where ip may be host-gateway. */
function checkExtraHost(entry: string): void {
  const split = /^([^:=]+)[:=](.+)$/.exec(entry);
  if (!split) throw invalid(`bad format for add-host: "${entry}"`);
  const ip = (split[2] ?? "").replace(/^\[(.*)\]$/, "$1");
  const plausible =
    ip === "host-gateway" ||
    /^\d{1,3}(?:\.\d{1,3}){3}$/.test(ip) ||
    /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(ip);
  if (!plausible) throw invalid(`invalid IP address in add-host: "${ip}"`);
}

function checkModes(host: HostConfig, config: ContainerConfig, warn: (text: string) => void): void {
  const mode = parseNetworkMode(host.NetworkMode);
  const published = Object.keys(host.PortBindings ?? {}).length > 0;
  if (mode.kind === "host") {
    if ((host.Links ?? []).length > 0) {
      throw invalid(
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    }
    if (published) warn("Published ports are discarded when using host network mode");
  }
  if (mode.kind === "container") {
    const conflicts: readonly (readonly [boolean, string])[] = [
      [mode.container === "", "invalid network mode: invalid container format container:<name|id>"],
      [Boolean(config.Hostname), "conflicting options: hostname and the network mode"],
      [
        (host.Links ?? []).length > 0,
        "conflicting options: container type network can't be used with links. This would result in undefined behavior",
      ],
      [(host.Dns ?? []).length > 0, "conflicting options: dns and the network mode"],
      [
        (host.ExtraHosts ?? []).length > 0,
        "conflicting options: custom host-to-IP mapping and the network mode",
      ],
      [
        published || Boolean(host.PublishAllPorts),
        "conflicting options: port publishing and the container type network mode",
      ],
      [
        Object.keys(config.ExposedPorts ?? {}).length > 0,
        "conflicting options: port exposing and the container type network mode",
      ],
    ];
    for (const [hit, text] of conflicts) if (hit) throw invalid(text);
  }
  if (host.UTSMode === "host" && config.Hostname) {
    throw invalid("conflicting options: hostname and the UTS mode");
  }
  if (!["", "host"].includes(host.UTSMode ?? "")) throw invalid(`invalid UTS mode: ${host.UTSMode}`);
  if (!["", "host"].includes(host.UsernsMode ?? "")) throw invalid(`invalid userns mode: ${host.UsernsMode}`);
  const pid = host.PidMode ?? "";
  if (!["", "host"].includes(pid) && !containerOfMode(pid)) throw invalid(`invalid PID mode: ${pid}`);
  const ipc = host.IpcMode ?? "";
  if (!["", "none", "private", "shareable", "host"].includes(ipc) && !containerOfMode(ipc)) {
    throw invalid(`invalid IPC mode: ${ipc}`);
  }
  if (!["", "private", "host"].includes(host.CgroupnsMode ?? "")) {
    throw invalid(`invalid cgroup namespace mode: ${host.CgroupnsMode}`);
  }
}

/**
 * Only sysctls of a namespace the container owns; a value that could smuggle a second setting is refused
 * (CVE-2022-0811 is the class).
 */
function checkSysctl(name: string, value: string, host: HostConfig): void {
  if (!/^[a-zA-Z0-9_./-]+$/.test(name) || /[\n\0+=]/.test(value)) {
    throw invalid(`sysctl ${JSON.stringify(`${name}=${value}`)} is not valid`);
  }
  const dotted = name.replaceAll("/", ".");
  const ipc =
    /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;
  if (dotted.startsWith("net.")) {
    if (parseNetworkMode(host.NetworkMode).kind === "host") {
      throw invalid(`sysctl '${name}' is not allowed as conflicting host network namespace`);
    }
    return;
  }
  if (ipc.test(dotted)) {
    if (host.IpcMode === "host") {
      throw invalid(`sysctl '${name}' is not allowed as conflicting host ipc namespace`);
    }
    return;
  }
  if (dotted === "kernel.domainname") return;
  throw invalid(`sysctl '${name}' is not allowed: it is not in a separate kernel namespace`);
}
