import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { invalid, messageOf, TugError } from "../../base/lib/errors.ts";
import type { LogFormat, LogLevel } from "../../base/lib/log.ts";
import type { CgroupDriver } from "../../core/runtime/cgroup-driver.ts";
import {
  addresses,
  addressPool,
  atLeast,
  builderSettings,
  cgroupDriver,
  cgroupnsMode,
  features,
  ipcMode,
  knownFeatures,
  labels,
  mirrors,
  networkOptions,
  storageOptions,
} from "./checks.ts";
import { type DaemonAddress, parseHost } from "./host.ts";
import { daemonOptions } from "./options.ts";
import { readConfigFile } from "./read-file.ts";
import { defaultRuntime, type RuntimeConfigs, runtimesOfFile, runtimesOfFlag } from "./runtimes.ts";
import { type Ulimit, ulimits } from "./ulimits.ts";
import { mergeValues, type OptionValue, type OptionValues, parseConfigFile } from "./values.ts";

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
  /** `allow-direct-routing`. */
  readonly directRouting: boolean;
  readonly defaultGateway: string | undefined;
  readonly defaultGatewayV6: string | undefined;
  /** Options that new networks have, by driver and name. */
  readonly networkOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
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
  readonly storageOptions: readonly (readonly [key: string, value: string])[];
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly labels: readonly string[];
  readonly ulimits: readonly Ulimit[];
  readonly shmSize: number;
  readonly ipcMode: string;
  readonly cgroupnsMode: string | undefined;
  /** `native.cgroupdriver` of `--exec-opt`; undefined: what suits the host. */
  readonly cgroupDriver: CgroupDriver | undefined;
  readonly cgroupParent: string | undefined;
  /** Microseconds of real-time scheduling of all containers together. */
  readonly cpuRealtime: { readonly period: number | undefined; readonly runtime: number | undefined };
  readonly cdiSpecDirs: readonly string[];
  readonly defaultRuntime: string | undefined;
  readonly runtimes: RuntimeConfigs;
  readonly init: boolean;
  readonly initPath: string | undefined;
  readonly seccompProfile: string | undefined;
  readonly noNewPrivileges: boolean;
  readonly experimental: boolean;
  /** Infinity: no bound. */
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  readonly maxDownloadAttempts: number;
  /** Connections that one large layer may come over. */
  readonly maxLayerConnections: number;
  /** Where `<host:port>/hosts.toml` and certificates of registries are. */
  readonly registryConfigDirs: readonly string[];
  /** containers/image's registries.conf; empty: it is not read. */
  readonly registriesConf: string;
  /** False: containers are stopped with the daemon, which gives them `shutdownTimeout` seconds (negative: no bound). */
  readonly liveRestore: boolean;
  readonly shutdownTimeout: number;
  readonly features: Readonly<Record<string, boolean>>;
  readonly selinux: boolean;
  readonly oomScoreAdjust: number | undefined;
  readonly logFormat: LogFormat;
  /** "host:port" */
  readonly metricsAddress: string | undefined;
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
  readonly usernsRemap: string | undefined;
  /** daemon.json's `builder` as it stands there. */
  readonly builder: unknown;
  /** Options that were given and have no effect here. */
  readonly ignored: readonly string[];
  /** Keys that the file has twice. */
  readonly repeated: readonly string[];
}

const defaultDataRoot = "/var/lib/tug";
const defaultExecRoot = "/run/tug";
const defaultConfigFile = "/etc/tug/daemon.json";

/**
 * Reads daemon.json beside the flags. A missing default file is no file; a missing one that was named is an error. Where it is a pipe, `patience`
 * is how many milliseconds are waited for its writer.
 */
export function loadConfig(flags: OptionValues, patience = 10_000): DaemonConfig {
  const named = flags.get("config-file");
  const path = typeof named === "string" ? named : defaultConfigFile;
  const file =
    named !== undefined || existsSync(path)
      ? parseConfigFile(path, readConfigFile(path, patience))
      : { values: new Map<string, OptionValue>(), repeated: [] };
  const values = mergeValues(path, flags, file.values);
  try {
    refuseContradictions(values);
    return { ...decide(path, values), repeated: file.repeated };
  } catch (error) {
    if (file.values.size === 0 || !(error instanceof TugError)) throw error;
    throw invalid(
      `unable to configure the Docker daemon with file ${path}: merged configuration validation from file and command line flags failed: ${brief(messageOf(error))}`,
      error,
    );
  }
}

/** A value may be anything. */
const brief = (text: string) => (text.length > 600 ? `${text.slice(0, 600)}…` : text);

/** What dockerd refuses, and what nothing here could carry out. */
function refuseContradictions(values: OptionValues): void {
  const given = (flag: string) => (values.get(flag) || undefined) !== undefined;
  if (given("bridge") && given("bip"))
    throw invalid("You specified -b & --bip, mutually exclusive options. Please specify only one");
  if (values.get("icc") === false && values.get("iptables") === false) {
    throw invalid(
      "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true",
    );
  }
  const backend = values.get("firewall-backend");
  if (backend !== undefined && backend !== "" && backend !== "nftables")
    throw invalid(`invalid firewall-backend "${String(backend)}": this daemon writes nftables rules`);
  const [plugin] = (values.get("authorization-plugin") as readonly string[] | undefined) ?? [];
  if (plugin !== undefined)
    throw invalid(`failed to validate authorization plugin: plugin ${JSON.stringify(plugin)} not found`);
  if (values.get("rootless") === true)
    throw invalid("rootless mode is not available: start tug daemon as root");
}

/** The values of options by kind; what was not given is undefined, or empty. */
function readersOf(values: OptionValues) {
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
  return { text, truth, number, list, map };
}

function decide(configFile: string, values: OptionValues): Omit<DaemonConfig, "repeated"> {
  const read = readersOf(values);
  const { text, truth, number, list, map } = read;
  const dataRoot = resolve(text("data-root") ?? defaultDataRoot);
  const execRoot = resolve(text("exec-root") ?? defaultExecRoot);
  const names = instanceNames(dataRoot);
  const hosts = list("host");
  const debug = truth("debug", false);
  const runtimes = { ...runtimesOfFile(map("runtimes")), ...runtimesOfFlag(map("add-runtime")) };
  return {
    configFile,
    hosts: (hosts.length > 0 ? hosts : [`unix://${join(execRoot, "tug.sock")}`]).map((host) =>
      parseHost(host, { tls: truth("tls", false) || truth("tlsverify", false), execRoot }),
    ),
    dataRoot,
    execRoot,
    pidFile: resolve(text("pidfile") ?? join(execRoot, "tug.pid")),
    logLevel: debug ? "debug" : logLevel(text("log-level") ?? "info"),
    logFormat: logFormat(text("log-format") ?? "text"),
    debug,
    group: text("group"),
    tls: tlsOf(text, truth("tls", false), truth("tlsverify", false)),
    instance: names.instance,
    defaultBridge: names.bridge,
    ...networking(read),
    insecureRegistries: list("insecure-registry"),
    registryMirrors: mirrors(list("registry-mirror")),
    storageDriver: text("storage-driver"),
    storageOptions: storageOptions(list("storage-opt")),
    logDriver: text("log-driver") ?? "json-file",
    logOptions: Object.fromEntries(
      Object.entries(map("log-opt")).map(([key, value]) => [key, String(value)]),
    ),
    labels: labels(list("label")),
    ulimits: ulimits(map("default-ulimit")),
    shmSize: bytes(text("default-shm-size") ?? "64m", "default-shm-size"),
    ipcMode: ipcMode(text("default-ipc-mode") ?? "private"),
    cgroupnsMode: cgroupnsMode(text("default-cgroupns-mode")),
    cgroupDriver: cgroupDriver(list("exec-opt")),
    cgroupParent: text("cgroup-parent"),
    cpuRealtime: { period: number("cpu-rt-period"), runtime: number("cpu-rt-runtime") },
    builder: builderSettings(values.get("builder") ?? {}),
    cdiSpecDirs: cdiSpecDirs(list("cdi-spec-dir"), features(map("feature"))),
    defaultRuntime: defaultRuntime(text("default-runtime"), runtimes),
    runtimes,
    init: truth("init", false),
    initPath: text("init-path"),
    seccompProfile: text("seccomp-profile"),
    noNewPrivileges: truth("no-new-privileges", false),
    experimental: truth("experimental", false),
    maxConcurrentDownloads: concurrency("max concurrent downloads", number("max-concurrent-downloads") ?? 3),
    maxConcurrentUploads: concurrency("max concurrent uploads", number("max-concurrent-uploads") ?? 5),
    maxDownloadAttempts: atLeast(1, "max download attempts", number("max-download-attempts") ?? 5),
    maxLayerConnections: atLeast(1, "max layer connections", number("max-layer-connections") ?? 4),
    registryConfigDirs:
      list("registry-config-dir").length > 0
        ? list("registry-config-dir")
        : ["/etc/tug/certs.d", "/etc/docker/certs.d", "/etc/containerd/certs.d"],
    registriesConf:
      values.get("registries-conf") === ""
        ? ""
        : (text("registries-conf") ?? "/etc/containers/registries.conf"),
    liveRestore: truth("live-restore", true),
    shutdownTimeout: number("shutdown-timeout") ?? 15,
    features: features(map("feature")),
    metricsAddress: text("metrics-addr"),
    selinux: truth("selinux-enabled", false),
    oomScoreAdjust: number("oom-score-adjust"),
    proxy: { http: text("http-proxy") ?? "", https: text("https-proxy") ?? "", no: text("no-proxy") ?? "" },
    usernsRemap: text("userns-remap"),
    ignored: [
      ...daemonOptions.filter((one) => one.ignored && values.has(one.flag)).map((one) => `--${one.flag}`),
      ...Object.keys(map("feature"))
        .filter((name) => !knownFeatures.has(name))
        .map((name) => `--feature ${name}`),
    ],
  };
}

function cdiSpecDirs(
  given: readonly string[],
  { cdi }: Readonly<Record<string, boolean>>,
): readonly string[] {
  if (cdi === false) return [];
  return given.length > 0 ? given : ["/etc/cdi", "/var/run/cdi"];
}

/** The settings of networks. */
function networking({ text, truth, number, list }: ReturnType<typeof readersOf>) {
  return {
    bridge: text("bridge"),
    bip: text("bip"),
    fixedCidr: text("fixed-cidr"),
    fixedCidrV6: text("fixed-cidr-v6"),
    defaultGateway: text("default-gateway"),
    defaultGatewayV6: text("default-gateway-v6"),
    networkOptions: networkOptions(list("default-network-opt")),
    ipv6: truth("ipv6", false),
    mtu: number("mtu"),
    icc: truth("icc", true),
    ipMasquerade: truth("ip-masq", true),
    ipForward: truth("ip-forward", true),
    iptables: truth("iptables", true),
    directRouting: truth("allow-direct-routing", false),
    publishIp: addresses(text("ip") === undefined ? [] : [text("ip") ?? ""])[0],
    addressPools:
      list("default-address-pool").length > 0 ? list("default-address-pool").map(addressPool) : undefined,
    dns: addresses(list("dns")),
    dnsOptions: list("dns-opt"),
    dnsSearch: list("dns-search"),
    hostGatewayIps: addresses(list("host-gateway-ip")),
  } satisfies Partial<DaemonConfig>;
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

function logFormat(text: string): LogFormat {
  if (text === "text" || text === "json") return text;
  throw invalid(`invalid logging format: ${text}`);
}

/** dockerd's 0 is no bound. */
function concurrency(what: string, value: number): number {
  return atLeast(0, what, value) || Number.POSITIVE_INFINITY;
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

/** "64m", "1g", "65536". */
function bytes(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(text);
  if (!match)
    throw invalid(`invalid argument ${JSON.stringify(text)} for "--${flag}" flag: invalid size: '${text}'`);
  const power = " kmgt".indexOf((match[2] || " ").toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** power);
}
