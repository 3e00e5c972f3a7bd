import { invalid } from "../../base/lib/errors.ts";
import type { EndpointSettings } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** The settings of the network that `NetworkMode` names, made if there are none at all. */
export function mainEndpoint(
  version: ApiVersion,
  mode: string,
  endpoints: Record<string, EndpointSettings>,
): EndpointSettings {
  const all = Object.values(endpoints);
  if (all.length === 0) {
    const settings: EndpointSettings = {};
    endpoints[mode] = settings;
    return settings;
  }
  const found = version < 44 ? all[0] : endpoints[mode];
  if (!found) {
    throw invalid("HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks");
  }
  return found;
}
