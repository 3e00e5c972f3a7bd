import { invalid } from "../../base/lib/errors.ts";
import type { EndpointSettings, HostConfig } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";
import { mainEndpoint } from "./main-endpoint.ts";

const option = "com.docker.network.endpoint.sysctls";

/**
 * Sysctls of an interface (net.ipv4.conf.eth0.x) cannot be set before it exists, so they belong to the endpoint. Up to 1.47 they
 * are moved there; later clients have to put them there themselves.
 */
export function migrateSysctls(
  version: ApiVersion,
  host: HostConfig,
  endpoints: Record<string, EndpointSettings>,
): readonly string[] {
  const mode = host.NetworkMode ?? "";
  if (mode === "host" || mode.startsWith("container:")) return [];
  const sysctls = host.Sysctls ?? {};
  const moved: string[] = [];
  const settings: string[] = [];
  for (const [name, value] of Object.entries(sysctls)) {
    const match = /^net\.([^.]*)\.([^.]*)\.(eth[^.]*)\.(.*)$/.exec(name);
    if (!match) continue;
    if (version > 47) {
      throw invalid(
        `interface specific sysctl setting "${name}" must be supplied using driver option '${option}'`,
      );
    }
    if (match[3] !== "eth0") {
      throw invalid(
        `unable to determine network endpoint for sysctl ${name}, use driver option '${option}' to set per-interface sysctls`,
      );
    }
    moved.push(name);
    settings.push(`net.${match[1]}.${match[2]}.IFNAME.${match[4]}=${value}`);
  }
  if (moved.length === 0) return [];
  const endpoint = mainEndpoint(version, mode, endpoints);
  const before = endpoint.DriverOpts?.[option];
  const text = settings.join(",");
  // What the endpoint says itself comes last and wins.
  endpoint.DriverOpts = { ...endpoint.DriverOpts, [option]: before ? `${text},${before}` : text };
  for (const name of moved) delete sysctls[name];
  return [
    `Migrated sysctl ${JSON.stringify(moved.join(","))} to DriverOpts{"${option}":${JSON.stringify(text)}}.`,
  ];
}
