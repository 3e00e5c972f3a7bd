import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { LogLevel } from "../../base/lib/log.ts";
import { type DaemonAddress, parseHost } from "./host.ts";
import { daemonOptions } from "./options.ts";
import { mergeValues, type OptionValues, parseConfigFile } from "./values.ts";

export interface TlsConfig {
  readonly verify: boolean;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The daemon's configuration, decided: flags, daemon.json and defaults as one readonly value. */
export interface DaemonConfig {
  readonly configFile: string;
  readonly hosts: readonly DaemonAddress[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidFile: string;
  readonly logLevel: LogLevel;
  readonly debug: boolean;
  readonly group: string | undefined;
  readonly tls: TlsConfig | undefined;
  /** `tug` for the default data root, `tug-<8 hex>` otherwise: prefix of everything with a global name. */
  readonly instance: string;
  readonly defaultBridge: string;
  readonly bridge: string | undefined;
  readonly bip: string | undefined;
  readonly fixedCidr: string | undefined;
  readonly fixedCidrV6: string | undefined;
  readonly defaultGateway: string | undefined;
  readonly ipv6: boolean;
  readonly mtu: number | undefined;
  readonly icc: boolean;
  readonly ipMasquerade: boolean;
  readonly ipForward: boolean;
  readonly iptables: boolean;
  readonly publishIp: string | undefined;
  readonly addressPools: readonly { readonly base: string; readonly size: number }[] | undefined;
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly hostGatewayIps: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly storageDriver: string | undefined;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly labels: readonly string[];
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly shmSize: number;
  readonly ipcMode: string;
  readonly cgroupnsMode: string | undefined;
  readonly cgroupParent: string | undefined;
  readonly defaultRuntime: string | undefined;
  readonly runtimes: Readonly<Record<string, string>>;
  readonly init: boolean;
  readonly initPath: string | undefined;
  readonly seccompProfile: string | undefined;
  readonly noNewPrivileges: boolean;
  readonly experimental: boolean;
  readonly maxConcurrentDownloads: number;
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
  readonly usernsRemap: string | undefined;
  /** Options that were given and have no effect here. */
  readonly ignored: readonly string[];
}

const defaultDataRoot = "/var/lib/tug";
const defaultExecRoot = "/run/tug";
const defaultConfigFile = "/etc/tug/daemon.json";

/** Reads daemon.json beside the flags. A missing default file is no file; a missing one that was named is an error. */
export function loadConfig(flags: OptionValues): DaemonConfig {
  const named = flags.get("config-file");
  const path = typeof named === "string" ? named : defaultConfigFile;
  let file: OptionValues = new Map();
  if (named !== undefined || existsSync(path)) {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      throw invalid(
        `unable to configure the Docker daemon with file ${path}: open ${path}: ${messageOf(error).includes("ENOENT") ? "no such file or directory" : messageOf(error)}`,
      );
    }
    file = parseConfigFile(path, text);
  }
  return decide(path, mergeValues(path, flags, file));
}

function decide(configFile: string, values: OptionValues): DaemonConfig {
  const text = (flag: string): string | undefined => {
    const value = values.get(flag);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const truth = (flag: string, fallback: boolean): boolean => {
    const value = values.get(flag);
    return typeof value === "boolean" ? value : fallback;
  };
  const number = (flag: string): number | undefined => {
    const value = values.get(flag);
    return typeof value === "number" ? value : undefined;
  };
  const list = (flag: string): readonly string[] => {
    const value = values.get(flag);
    return Array.isArray(value) ? (value as readonly string[]) : [];
  };
  const map = (flag: string): Readonly<Record<string, unknown>> => {
    const value = values.get(flag);
    return typeof value === "object" && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : {};
  };
  const dataRoot = resolve(text("data-root") ?? defaultDataRoot);
  const execRoot = resolve(text("exec-root") ?? defaultExecRoot);
  const names = instanceNames(dataRoot);
  const hosts = list("host");
  const debug = truth("debug", false);
  return {
    configFile,
    hosts: (hosts.length > 0 ? hosts : [`unix://${join(execRoot, "tug.sock")}`]).map((host) =>
      parseHost(host, { tls: truth("tls", false) || truth("tlsverify", false), execRoot }),
    ),
    dataRoot,
    execRoot,
    pidFile: resolve(text("pidfile") ?? join(execRoot, "tug.pid")),
    logLevel: debug ? "debug" : logLevel(text("log-level") ?? "info"),
    debug,
    group: text("group"),
    tls: tlsOf(text, truth("tls", false), truth("tlsverify", false)),
    instance: names.instance,
    defaultBridge: names.bridge,
    bridge: text("bridge"),
    bip: text("bip"),
    fixedCidr: text("fixed-cidr"),
    fixedCidrV6: text("fixed-cidr-v6"),
    defaultGateway: text("default-gateway"),
    ipv6: truth("ipv6", false),
    mtu: number("mtu"),
    icc: truth("icc", true),
    ipMasquerade: truth("ip-masq", true),
    ipForward: truth("ip-forward", true),
    iptables: truth("iptables", true),
    publishIp: text("ip"),
    addressPools: pools(list("default-address-pool")),
    dns: list("dns"),
    dnsOptions: list("dns-opt"),
    dnsSearch: list("dns-search"),
    hostGatewayIps: list("host-gateway-ip"),
    insecureRegistries: list("insecure-registry"),
    registryMirrors: list("registry-mirror"),
    storageDriver: text("storage-driver"),
    logDriver: text("log-driver") ?? "json-file",
    logOptions: Object.fromEntries(
      Object.entries(map("log-opt")).map(([key, value]) => [key, String(value)]),
    ),
    labels: list("label"),
    ulimits: ulimits(map("default-ulimit")),
    shmSize: bytes(text("default-shm-size") ?? "64m", "default-shm-size"),
    ipcMode: oneOf("default-ipc-mode", text("default-ipc-mode") ?? "private", ["private", "shareable"]),
    cgroupnsMode: text("default-cgroupns-mode"),
    cgroupParent: text("cgroup-parent"),
    defaultRuntime: text("default-runtime"),
    runtimes: { ...runtimeFile(map("runtimes")), ...stringMap(map("add-runtime")) },
    init: truth("init", false),
    initPath: text("init-path"),
    seccompProfile: text("seccomp-profile"),
    noNewPrivileges: truth("no-new-privileges", false),
    experimental: truth("experimental", false),
    maxConcurrentDownloads: positive("max-concurrent-downloads", number("max-concurrent-downloads") ?? 3),
    proxy: { http: text("http-proxy") ?? "", https: text("https-proxy") ?? "", no: text("no-proxy") ?? "" },
    usernsRemap: text("userns-remap"),
    ignored: daemonOptions.filter((one) => one.ignored && values.has(one.flag)).map((one) => one.flag),
  };
}

/** What this daemon calls itself in the host's global name spaces; two data roots never share a name. */
export function instanceNames(dataRoot: string): { readonly instance: string; readonly bridge: string } {
  if (dataRoot === defaultDataRoot) return { instance: "tug", bridge: "tug0" };
  const hash = createHash("sha256").update(dataRoot).digest("hex").slice(0, 8);
  return { instance: `tug-${hash}`, bridge: `tug${hash}` };
}

function logLevel(text: string): LogLevel {
  if (["debug", "info", "warn", "error", "fatal"].includes(text)) return text as LogLevel;
  throw invalid(`invalid logging level: ${text}`);
}

function oneOf(flag: string, value: string, allowed: readonly string[]): string {
  if (!allowed.includes(value)) throw invalid(`invalid value for ${flag}: ${value}`);
  return value;
}

function positive(flag: string, value: number): number {
  if (value < 1) throw invalid(`invalid ${flag.replaceAll("-", " ")}: ${value}`);
  return value;
}

function tlsOf(
  text: (flag: string) => string | undefined,
  tls: boolean,
  verify: boolean,
): TlsConfig | undefined {
  if (!tls && !verify) return undefined;
  const home = join(process.env["HOME"] ?? "/root", ".docker");
  return {
    verify,
    ca: text("tlscacert") ?? join(home, "ca.pem"),
    cert: text("tlscert") ?? join(home, "cert.pem"),
    key: text("tlskey") ?? join(home, "key.pem"),
  };
}

/** "base=10.0.0.0/8,size=24". */
function pools(entries: readonly string[]): DaemonConfig["addressPools"] {
  if (entries.length === 0) return undefined;
  return entries.map((entry) => {
    const fields = new Map(entry.split(",").map((part) => part.trim().split("=", 2) as [string, string]));
    const base = fields.get("base") ?? "";
    const size = Number(fields.get("size"));
    if (!base.includes("/") || !Number.isInteger(size) || size < 1) {
      throw invalid(
        `invalid argument ${JSON.stringify(entry)} for "--default-address-pool" flag: invalid default address pool`,
      );
    }
    return { base, size };
  });
}

/** Flags give "nofile=64:128"; the file gives {"nofile": {"Name": …, "Soft": …, "Hard": …}}. */
function ulimits(map: Readonly<Record<string, unknown>>): DaemonConfig["ulimits"] {
  return Object.entries(map).map(([name, value]) => {
    if (typeof value === "object" && value !== null) {
      const { Soft, Hard } = value as { Soft?: unknown; Hard?: unknown };
      return { Name: name, Soft: Number(Soft ?? Hard ?? 0), Hard: Number(Hard ?? Soft ?? 0) };
    }
    const [soft = "", hard = soft] = String(value).split(":");
    if (!/^-?\d+$/.test(soft) || !/^-?\d+$/.test(hard)) {
      throw invalid(
        `invalid argument "${name}=${String(value)}" for "--default-ulimit" flag: invalid ulimit`,
      );
    }
    return { Name: name, Soft: Number(soft), Hard: Number(hard) };
  });
}

function stringMap(map: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)]));
}

function runtimeFile(map: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const runtimes: Record<string, string> = {};
  for (const [name, value] of Object.entries(map)) {
    const path = typeof value === "object" && value !== null ? (value as { path?: unknown }).path : undefined;
    if (typeof path !== "string") throw invalid(`invalid runtime "${name}": a path is needed`);
    runtimes[name] = path;
  }
  return runtimes;
}

/** "64m", "1g", "65536". */
function bytes(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(text);
  if (!match)
    throw invalid(`invalid argument ${JSON.stringify(text)} for "--${flag}" flag: invalid size: '${text}'`);
  const power = " kmgt".indexOf((match[2] || " ").toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** power);
}
