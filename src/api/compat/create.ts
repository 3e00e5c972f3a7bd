import { invalid } from "../../base/lib/errors.ts";
import type { EndpointSettings, HostConfig, NetworkingConfig } from "../../base/spec/docker/api.gen.ts";
import type { CreateRequest } from "../../base/spec/docker/requests.ts";
import type { CreateBody } from "../decode/container.ts";
import type { ApiVersion } from "../version.ts";
import { checkMounts } from "./create-mounts.ts";
import { migrateSysctls } from "./create-sysctls.ts";
import { mainEndpoint } from "./main-endpoint.ts";

export interface BentCreate {
  readonly request: CreateRequest;
  readonly warnings: readonly string[];
  /** Before 1.44 a read-only bind was not recursive. */
  readonly readOnlyNonRecursive: boolean;
}

/** A create request of any version as the newest one: what dockerd's create route does for older clients. */
export function bendCreate(version: ApiVersion, body: CreateBody): BentCreate {
  const { MacAddress: mac = "", HostConfig: host = {}, NetworkingConfig: networking = {}, ...config } = body;
  const warnings: string[] = [];
  const endpoints: Record<string, EndpointSettings> = { ...networking.EndpointsConfig };
  moveDefaultNetwork(host, endpoints);

  if (version < 25) host.AutoRemove = false;
  if (version < 40 && !host.IpcMode) host.IpcMode = "shareable";
  // "host" was the default before 1.41; on cgroup v2 only from 1.41 on can it be private, which is the same for the client.
  if (version < 41 && !host.CgroupnsMode) host.CgroupnsMode = "host";
  if (version < 42) delete host.ConsoleSize;
  if (version < 43) delete host.Annotations;
  if (version < 44) {
    if (config.Healthcheck) delete config.Healthcheck.StartInterval;
    const names = Object.keys(endpoints);
    if (names.length > 1) {
      throw invalid(`Container cannot be created with multiple network endpoints: ${names.join(", ")}`);
    }
  }
  if (version < 48) for (const endpoint of Object.values(endpoints)) delete endpoint.GwPriority;
  warnings.push(...checkMounts(version, host));
  warnings.push(...moveMacAddress(version, mac, host, endpoints));
  warnings.push(...migrateSysctls(version, host, endpoints));
  warnings.push(...fillPortBindings(version, host));
  // 0 and negative numbers have always meant "no limit".
  if (typeof host.PidsLimit === "number" && host.PidsLimit <= 0) delete host.PidsLimit;

  const bentNetworking: NetworkingConfig = { EndpointsConfig: endpoints };
  return {
    request: { ...config, HostConfig: host, NetworkingConfig: bentNetworking },
    warnings,
    readOnlyNonRecursive: version < 44,
  };
}

/** "default" and nothing both mean the bridge. */
function moveDefaultNetwork(host: HostConfig, endpoints: Record<string, EndpointSettings>): void {
  if (host.NetworkMode !== undefined && host.NetworkMode !== "" && host.NetworkMode !== "default") return;
  host.NetworkMode = "bridge";
  const settings = endpoints["default"];
  if (!settings) return;
  delete endpoints["default"];
  endpoints["bridge"] = settings;
}

/** The container-wide MAC address became one of the main endpoint with 1.44 and was dropped with 1.52. */
function moveMacAddress(
  version: ApiVersion,
  mac: string,
  host: HostConfig,
  endpoints: Record<string, EndpointSettings>,
): readonly string[] {
  if (version >= 52) return [];
  if (mac === "") {
    if (version < 44) for (const endpoint of Object.values(endpoints)) delete endpoint.MacAddress;
    return [];
  }
  const takesMac = hasOwnNetwork(host.NetworkMode ?? "");
  if (version < 44) {
    if (!takesMac) throw invalid("conflicting options: mac-address and the network mode");
    mainEndpoint(version, host.NetworkMode ?? "", endpoints).MacAddress = mac;
    return [];
  }
  if (takesMac) {
    const endpoint = mainEndpoint(version, host.NetworkMode ?? "", endpoints);
    if (endpoint.MacAddress && endpoint.MacAddress !== mac) {
      throw invalid(
        "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
      );
    }
    endpoint.MacAddress = mac;
  }
  return [
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
  ];
}

/** True for the bridge and for user-defined networks. */
function hasOwnNetwork(mode: string): boolean {
  return mode !== "host" && mode !== "none" && !mode.startsWith("container:");
}

/** An exposed port with an empty list of bindings gets a random host port. */
function fillPortBindings(version: ApiVersion, host: HostConfig): readonly string[] {
  const bindings = host.PortBindings ?? {};
  const empty = Object.keys(bindings).filter((port) => !bindings[port]?.length);
  for (const port of empty) bindings[port] = [{ HostIp: "", HostPort: "" }];
  if (empty.length === 0 || version < 52) return [];
  return [
    `Following container port(s) have an empty list of port-bindings: ${empty.join(", ")}. Such bindings will be discarded in a future version.`,
  ];
}
