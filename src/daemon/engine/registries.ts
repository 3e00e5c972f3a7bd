import type { Clock } from "../../base/lib/clock.ts";
import { tugVersion } from "../../base/lib/product.ts";
import type { ContentStore } from "../../core/content/content.ts";
import { HttpRegistryClient } from "../../core/distribution/client.ts";
import { proxyFromEnvironment, type RegistryConfig } from "../../core/distribution/registry-config.ts";
import type { DaemonConfig } from "../config/config.ts";

/** The clients of registries, as the configuration has it. */
export function registryClients(deps: {
  readonly config: DaemonConfig;
  readonly content: ContentStore;
  readonly clock: Clock;
}): {
  readonly registry: HttpRegistryClient;
  /** Takes any registry by HTTP or with an unknown certificate: for requests that ask for that (`registry.insecure` of builds). */
  readonly anyRegistry: HttpRegistryClient;
} {
  const { config, ...others } = deps;
  const client = (insecure: () => readonly string[]) =>
    new HttpRegistryClient({ ...others, config: registryConfig(config, insecure) });
  return {
    registry: client(() => config.insecureRegistries),
    anyRegistry: client(() => ["0.0.0.0/0", "::/0"]),
  };
}

function registryConfig(config: DaemonConfig, insecureRegistries: () => readonly string[]): RegistryConfig {
  const environment = proxyFromEnvironment(process.env);
  return {
    // Looked at anew for each request: SIGHUP changes them.
    get insecureRegistries() {
      return insecureRegistries();
    },
    get mirrors() {
      return config.registryMirrors;
    },
    certificateDirectories: config.registryConfigDirs,
    hostsDirectories: config.registryConfigDirs,
    registriesConf: config.registriesConf,
    ranges: { connections: config.maxLayerConnections },
    proxy: {
      http: config.proxy.http || environment.http,
      https: config.proxy.https || environment.https,
      no: config.proxy.no || environment.no,
    },
    get maxDownloadAttempts() {
      return config.maxDownloadAttempts;
    },
    userAgent: `tug/${tugVersion}`,
  };
}
