import { invalid } from "../../../base/lib/errors.ts";
import { contains, parseIp, parsePrefix } from "../../../base/lib/ip.ts";
import type { EndpointSettings } from "../../../base/spec/docker/api.gen.ts";
import type { Network } from "../../../core/network/network.ts";
import { parseNetworkMode } from "../network-mode.ts";

/**
 * Refuses what a container cannot have on a network, everything that is wrong at once, in dockerd's words. `network` is
 * undefined when there is none of that name yet: then `start` finds out.
 */
export function checkEndpointSettings(
  name: string,
  network: Network | undefined,
  settings: EndpointSettings,
): void {
  const problems = [
    ...predefinedProblems(name, settings),
    ...addressProblems(network, settings),
    ...sysctlProblems(settings),
  ];
  if (problems.length > 0) throw invalid(`invalid endpoint settings:\n${problems.join("\n")}`);
}

function predefinedProblems(name: string, settings: EndpointSettings): string[] {
  const mode = parseNetworkMode(name);
  if (mode.kind === "network" && mode.name !== "bridge") return [];
  const problems: string[] = [];
  if (settings.IPAMConfig?.IPv4Address || settings.IPAMConfig?.IPv6Address) {
    problems.push("user-specified IP address is supported on user-defined networks only");
  }
  if ((settings.Aliases ?? []).length > 0) {
    problems.push("network-scoped aliases are only supported for user-defined networks");
  }
  return problems;
}

function addressProblems(network: Network | undefined, settings: EndpointSettings): string[] {
  const { IPv4Address: v4, IPv6Address: v6, LinkLocalIPs } = settings.IPAMConfig ?? {};
  const problems: string[] = [];
  for (const [text, family] of [
    [v4, 4],
    [v6, 6],
  ] as const) {
    if (!text) continue;
    const address = parseIp(text);
    if (!address || address.family !== family || address.value === 0n) {
      problems.push(`invalid IPv${family} address: ${text}`);
      continue;
    }
    if (network && !pools(network).some((pool) => contains(pool, address))) {
      problems.push(`no configured subnet contains IP address ${text}`);
    }
  }
  for (const text of LinkLocalIPs ?? []) {
    if (!parseIp(text)) problems.push(`invalid link-local IP address: ${text}`);
  }
  if (settings.MacAddress && !/^(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(settings.MacAddress)) {
    problems.push(`invalid MAC address: ${settings.MacAddress}`);
  }
  return problems;
}

function pools(network: Network) {
  return network.ipam.config.flatMap((pool) => parsePrefix(pool.subnet ?? "") ?? []);
}

/** net.X.Y.IFNAME.Z=V, several joined by commas. */
function sysctlProblems(settings: EndpointSettings): string[] {
  const list = settings.DriverOpts?.["com.docker.network.endpoint.sysctls"];
  if (!list) return [];
  return list.split(",").flatMap((sysctl) => {
    const words = sysctl.split(".");
    const known =
      words.length >= 5 &&
      ["ipv4", "ipv6", "mpls"].includes(words[1] ?? "") &&
      words[3]?.toUpperCase() === "IFNAME";
    return known
      ? []
      : [
          `unrecognised network interface sysctl '${sysctl}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
        ];
  });
}
