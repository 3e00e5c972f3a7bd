import type { SystemInfo } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** GET /info for the client's version. */
export function infoReply(version: ApiVersion, info: SystemInfo): unknown {
  if (version >= 50) return info;
  const reply: Record<string, unknown> = {
    ...info,
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
  };
  delete reply["DiscoveredDevices"];
  if (version < 49) {
    delete reply["FirewallBackend"];
    for (const name of ["ContainerdCommit", "RuncCommit", "InitCommit"] as const) {
      const commit = info[name];
      if (commit) reply[name] = { ...commit, Expected: commit.ID };
    }
  }
  if (version < 47) {
    reply["RegistryConfig"] = {
      AllowNondistributableArtifactsCIDRs: null,
      AllowNondistributableArtifactsHostnames: null,
      ...info.RegistryConfig,
    };
  }
  if (version < 46) delete reply["Containerd"];
  if (version < 44 && info.Runtimes) {
    reply["Runtimes"] = Object.fromEntries(
      Object.entries(info.Runtimes).map(([name, { status: _, ...runtime }]) => [name, runtime]),
    );
  }
  return reply;
}
