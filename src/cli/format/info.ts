import type { SystemInfo } from "../../base/spec/docker/api.gen.ts";
import { binarySize } from "./units.ts";

/** The daemon's part of `tug info`, in Docker's layout. */
export function serverInfo(info: SystemInfo): string {
  const lines: string[] = [];
  const line = (label: string, value: unknown) => lines.push(` ${label}: ${String(value ?? "")}`);
  const optional = (label: string, value: unknown) => {
    if (value !== undefined && value !== null && value !== "") line(label, value);
  };
  line("Containers", info.Containers ?? 0);
  line(" Running", info.ContainersRunning ?? 0);
  line(" Paused", info.ContainersPaused ?? 0);
  line(" Stopped", info.ContainersStopped ?? 0);
  line("Images", info.Images ?? 0);
  optional("Server Version", info.ServerVersion);
  line("Storage Driver", info.Driver);
  for (const [name = "", value = ""] of info.DriverStatus ?? []) line(` ${name}`, value);
  line("Logging Driver", info.LoggingDriver);
  line("Cgroup Driver", info.CgroupDriver);
  optional("Cgroup Version", info.CgroupVersion);
  lines.push(" Plugins:");
  line(" Volume", (info.Plugins?.Volume ?? []).join(" "));
  line(" Network", (info.Plugins?.Network ?? []).join(" "));
  if ((info.Plugins?.Authorization ?? []).length > 0)
    line(" Authorization", (info.Plugins?.Authorization ?? []).join(" "));
  line(" Log", (info.Plugins?.Log ?? []).join(" "));
  const cdi = info.CDISpecDirs ?? [];
  if (cdi.length > 0) lines.push(" CDI spec directories:", ...cdi.map((folder) => `  ${folder}`));
  const devices = info.DiscoveredDevices ?? [];
  if (devices.length > 0)
    lines.push(" Discovered Devices:", ...devices.map(({ Source = "", ID = "" }) => `  ${Source}: ${ID}`));
  line("Swarm", info.Swarm?.LocalNodeState || "inactive");
  line(
    "Runtimes",
    Object.keys(info.Runtimes ?? {})
      .sort()
      .join(" "),
  );
  line("Default Runtime", info.DefaultRuntime);
  line("Init Binary", info.InitBinary);
  line("containerd version", info.ContainerdCommit?.ID);
  line("runc version", info.RuncCommit?.ID);
  line("init version", info.InitCommit?.ID);
  if ((info.SecurityOptions ?? []).length > 0)
    lines.push(" Security Options:", ...(info.SecurityOptions ?? []).flatMap(securityLines));
  line("Kernel Version", info.KernelVersion);
  line("Operating System", info.OperatingSystem);
  line("OSType", info.OSType);
  line("Architecture", info.Architecture);
  line("CPUs", info.NCPU);
  line("Total Memory", binarySize(info.MemTotal ?? 0));
  line("Name", info.Name);
  line("ID", info.ID);
  line("Docker Root Dir", info.DockerRootDir);
  line("Debug Mode", info.Debug ?? false);
  if (info.Debug) {
    line(" File Descriptors", info.NFd);
    line(" Goroutines", info.NGoroutines);
    line(" System Time", info.SystemTime);
    line(" EventsListeners", info.NEventsListener);
  }
  optional("HTTP Proxy", info.HttpProxy);
  optional("HTTPS Proxy", info.HttpsProxy);
  optional("No Proxy", info.NoProxy);
  if ((info.Labels ?? []).length > 0)
    lines.push(" Labels:", ...(info.Labels ?? []).map((label) => `  ${label}`));
  line("Experimental", info.ExperimentalBuild ?? false);
  const registries = info.RegistryConfig;
  const insecure = [
    ...Object.entries(registries?.IndexConfigs ?? {}).flatMap(([name, index]) =>
      index?.Secure === false ? [name] : [],
    ),
    ...(registries?.InsecureRegistryCIDRs ?? []),
  ];
  if (insecure.length > 0) lines.push(" Insecure Registries:", ...insecure.map((name) => `  ${name}`));
  const mirrors = registries?.Mirrors ?? [];
  if (mirrors.length > 0) lines.push(" Registry Mirrors:", ...mirrors.map((mirror) => `  ${mirror}`));
  line("Live Restore Enabled", info.LiveRestoreEnabled ?? false);
  optional("Product License", info.ProductLicense);
  const firewall = info.FirewallBackend;
  const pools = info.DefaultAddressPools ?? [];
  if (pools.length > 0)
    lines.push(
      " Default Address Pools:",
      ...pools.map((pool) => `   Base: ${pool.Base}, Size: ${pool.Size}`),
    );
  if (firewall) {
    line("Firewall Backend", firewall.Driver);
    for (const [name = "", value = ""] of firewall.Info ?? []) line(` ${name}`, value);
  }
  return `${lines.join("\n")}\n`;
}

/** "name=seccomp,profile=builtin" over two lines. */
function securityLines(option: string): string[] {
  const pairs = option.split(",").map((pair) => pair.split("="));
  const name = pairs.find(([key]) => key === "name")?.[1] ?? option;
  const rest = pairs
    .filter(([key]) => key !== "name")
    .map(([key = "", value = ""]) => `   ${key.charAt(0).toUpperCase()}${key.slice(1)}: ${value}`);
  return [`  ${name}`, ...rest];
}
