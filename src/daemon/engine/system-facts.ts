import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { maxVersion, minVersion, versionText } from "../../api/version.ts";
import { randomId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import { builtAt, commitId, tugVersion } from "../../base/lib/product.ts";
import { missingFixes } from "../../core/runtime/advisories.ts";
import type { CgroupDriver } from "../../core/runtime/cgroup-driver.ts";
import type { HostFacts } from "../../core/runtime/spec.ts";
import type { Component, DaemonFacts } from "../../engine/system/deps.ts";
import type { DaemonConfig } from "../config/config.ts";
import type { Runtimes } from "./runtimes.ts";

/** What `info` and `version` say of this daemon. */
export function daemonFacts(parts: {
  readonly config: DaemonConfig;
  readonly host: HostFacts;
  readonly runtimes: Runtimes;
  readonly cgroupDriver: CgroupDriver;
  readonly initPath: string | undefined;
  readonly logDrivers: readonly string[];
  readonly volumeDrivers: readonly string[];
  readonly networkDrivers: readonly string[];
  readonly remapped: boolean;
}): DaemonFacts {
  const { config, host } = parts;
  return {
    version: tugVersion,
    gitCommit: commitId,
    buildTime: builtAt,
    apiVersion: versionText(maxVersion),
    minApiVersion: versionText(minVersion),
    id: daemonId(config.dataRoot),
    dataRoot: config.dataRoot,
    experimental: config.experimental,
    proxy: config.proxy,
    // These are what SIGHUP changes.
    get debug() {
      return config.debug;
    },
    get liveRestore() {
      return config.liveRestore;
    },
    get labels() {
      return config.labels;
    },
    get insecureRegistries() {
      return config.insecureRegistries;
    },
    get registryMirrors() {
      return config.registryMirrors;
    },
    addressPools: config.addressPools ?? [],
    logDriver: config.logDriver,
    get defaultRuntime() {
      return parts.runtimes.default;
    },
    get runtimes() {
      return Object.fromEntries(
        [...parts.runtimes.all].map(([name, { path }]) => {
          const args = config.runtimes[name]?.args ?? [];
          return [name, { path, ...(args.length > 0 ? { runtimeArgs: [...args] } : {}) }];
        }),
      );
    },
    initBinary: parts.initPath ?? "",
    plugins: {
      Volume: [...parts.volumeDrivers],
      Network: [...parts.networkDrivers],
      Authorization: [],
      Log: [...parts.logDrivers],
    },
    firewall: { Driver: "nftables", Info: [] },
    nri: null as never,
    securityOptions: [
      ...securityOptions(config, host),
      // Where Docker has it: after no-new-privileges come none of the others.
      ...(parts.remapped ? ["name=userns"] : []),
    ],
    cgroupDriver: parts.cgroupDriver,
    cdiSpecDirs: [...config.cdiSpecDirs],
    warnings: [],
  };
}

function securityOptions(config: DaemonConfig, host: HostFacts): readonly string[] {
  return [
    ...(host.apparmor ? ["name=apparmor"] : []),
    `name=seccomp,profile=${config.seccompProfile ?? "builtin"}`,
    ...(host.selinux ? ["name=selinux"] : []),
    ...(host.cgroup === "v2" ? ["name=cgroupns"] : []),
    ...(config.noNewPrivileges ? ["name=no-new-privileges"] : []),
  ];
}

/** A random id that stays with the data root. */
export function daemonId(dataRoot: string): string {
  const path = join(dataRoot, "engine-id");
  // A power cut may leave a file without its contents.
  if (!existsSync(path) || readFileSync(path, "utf8").trim() === "") {
    const hex = randomId();
    const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
    writeFileSync(path, `${id}\n`, { mode: 0o600, flush: true });
  }
  return readFileSync(path, "utf8").trim();
}

/** The programs this daemon drives; asked for their versions only when somebody wants to know. */
export function components(
  programs: readonly { readonly name: string; readonly path: string }[],
): readonly Component[] {
  return programs.map(({ name, path }) => ({
    name,
    version: async () => {
      const child = Bun.spawn([path, "--version"], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
      const text = await new Response(child.stdout).text();
      return /\d+\.\d+[^\s,]*/.exec(text)?.[0] ?? "unknown";
    },
  }));
}

/** Logs what the runtime that containers get is known to lack; the start does not wait for it. */
export async function adviseOnRuntime(all: readonly Component[], runtime: string, log: Log): Promise<void> {
  const version = await all.find((one) => one.name === runtime)?.version();
  const missing = version && missingFixes(runtime, version);
  if (missing) log.warn(missing, { runtime });
}
