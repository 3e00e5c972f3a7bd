import type { SystemInfo } from "../../base/spec/docker/api.gen.ts";
import { binarySize } from "./units.ts";

/** The daemon's part of `tug info`, in Docker's layout. */
export function serverInfo(info: SystemInfo): string {
  const lines = [
    ...contents(info),
    ...drivers(info),
    ...plugins(info),
    ...devices(info),
    field("Swarm", info.Swarm?.LocalNodeState || "inactive"),
    ...programs(info),
    ...list("Security Options", (info.SecurityOptions ?? []).flatMap(securityLines)),
    ...host(info),
    ...debugging(info),
    ...proxies(info),
    ...list("Labels", info.Labels ?? []),
    field("Experimental", info.ExperimentalBuild ?? false),
    ...registries(info),
    field("Live Restore Enabled", info.LiveRestoreEnabled ?? false),
    ...optional("Product License", info.ProductLicense),
    ...networking(info),
  ];
  return `${lines.join("\n")}\n`;
}

const field = (label: string, value: unknown): string => ` ${label}: ${String(value ?? "")}`;

/** Nothing for a value that the daemon does not tell. */
const optional = (label: string, value: string | undefined): string[] => (value ? [field(label, value)] : []);

/** A title with the items below it; nothing for none. */
const list = (title: string, items: readonly string[]): string[] =>
  items.length > 0 ? [` ${title}:`, ...items.map((item) => `  ${item}`)] : [];

/** Rows of a driver about itself, below its line. */
const rows = (pairs: readonly (readonly string[])[]): string[] =>
  pairs.map(([name = "", value]) => field(` ${name}`, value));

const contents = (info: SystemInfo): string[] => [
  field("Containers", info.Containers ?? 0),
  field(" Running", info.ContainersRunning ?? 0),
  field(" Paused", info.ContainersPaused ?? 0),
  field(" Stopped", info.ContainersStopped ?? 0),
  field("Images", info.Images ?? 0),
];

const drivers = (info: SystemInfo): string[] => [
  ...optional("Server Version", info.ServerVersion),
  field("Storage Driver", info.Driver),
  ...rows(info.DriverStatus ?? []),
  field("Logging Driver", info.LoggingDriver),
  field("Cgroup Driver", info.CgroupDriver),
  ...optional("Cgroup Version", info.CgroupVersion),
];

const plugins = (info: SystemInfo): string[] => [
  " Plugins:",
  field(" Volume", (info.Plugins?.Volume ?? []).join(" ")),
  field(" Network", (info.Plugins?.Network ?? []).join(" ")),
  ...optional(" Authorization", (info.Plugins?.Authorization ?? []).join(" ")),
  field(" Log", (info.Plugins?.Log ?? []).join(" ")),
];

const devices = (info: SystemInfo): string[] => [
  ...list("CDI spec directories", info.CDISpecDirs ?? []),
  ...list(
    "Discovered Devices",
    (info.DiscoveredDevices ?? []).map(({ Source = "", ID = "" }) => `${Source}: ${ID}`),
  ),
];

const programs = (info: SystemInfo): string[] => [
  field(
    "Runtimes",
    Object.keys(info.Runtimes ?? {})
      .sort()
      .join(" "),
  ),
  field("Default Runtime", info.DefaultRuntime),
  field("Init Binary", info.InitBinary),
  field("containerd version", info.ContainerdCommit?.ID),
  field("runc version", info.RuncCommit?.ID),
  field("init version", info.InitCommit?.ID),
];

const host = (info: SystemInfo): string[] => [
  field("Kernel Version", info.KernelVersion),
  field("Operating System", info.OperatingSystem),
  field("OSType", info.OSType),
  field("Architecture", info.Architecture),
  field("CPUs", info.NCPU),
  field("Total Memory", binarySize(info.MemTotal ?? 0)),
  field("Name", info.Name),
  field("ID", info.ID),
  field("Docker Root Dir", info.DockerRootDir),
];

const debugging = (info: SystemInfo): string[] => [
  field("Debug Mode", info.Debug ?? false),
  ...(info.Debug
    ? [
        field(" File Descriptors", info.NFd),
        field(" Goroutines", info.NGoroutines),
        field(" System Time", info.SystemTime),
        field(" EventsListeners", info.NEventsListener),
      ]
    : []),
];

const proxies = (info: SystemInfo): string[] => [
  ...optional("HTTP Proxy", info.HttpProxy),
  ...optional("HTTPS Proxy", info.HttpsProxy),
  ...optional("No Proxy", info.NoProxy),
];

function registries({ RegistryConfig: config }: SystemInfo): string[] {
  const insecure = Object.entries(config?.IndexConfigs ?? {}).flatMap(([name, index]) =>
    index?.Secure === false ? [name] : [],
  );
  return [
    ...list("Insecure Registries", [...insecure, ...(config?.InsecureRegistryCIDRs ?? [])]),
    ...list("Registry Mirrors", config?.Mirrors ?? []),
  ];
}

function networking(info: SystemInfo): string[] {
  const pools = info.DefaultAddressPools ?? [];
  const firewall = info.FirewallBackend;
  return [
    ...list(
      "Default Address Pools",
      // One column further in than other items, as Docker has it.
      pools.map((pool) => ` Base: ${pool.Base}, Size: ${pool.Size}`),
    ),
    ...(firewall ? [field("Firewall Backend", firewall.Driver), ...rows(firewall.Info ?? [])] : []),
  ];
}

/** "name=seccomp,profile=builtin" over two lines. */
function securityLines(option: string): string[] {
  const pairs = option.split(",").map((pair) => pair.split("="));
  const name = pairs.find(([key]) => key === "name")?.[1] ?? option;
  const rest = pairs
    .filter(([key]) => key !== "name")
    .map(([key = "", value = ""]) => ` ${key.charAt(0).toUpperCase()}${key.slice(1)}: ${value}`);
  return [name, ...rest];
}
