import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { invalid, TugError } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { type CgroupHierarchy, cgroupPathsFor, controllerPath } from "../../base/sys/cgroup/cgroup.ts";
import {
  type CgroupLayout,
  cgroupLayout,
  defaultCgroupDriver,
  runsSystemd,
} from "../../core/runtime/cgroup-driver.ts";
import { chooseRuntime } from "../../core/runtime/choose.ts";
import type { OciRuntime } from "../../core/runtime/oci.ts";
import type { HostFacts } from "../../core/runtime/spec.ts";
import type { DaemonConfig } from "../config/config.ts";
import { configuredRuntimes, ociRuntimes } from "../drivers/builtins.ts";

/** The OCI runtimes of a daemon. SIGHUP changes which there are: the map is always the same object. */
export interface Runtimes {
  readonly all: ReadonlyMap<string, OciRuntime>;
  /** The name of the one for containers that ask for none. */
  readonly default: string;
  /** Takes what the configuration says now. */
  reload(): void;
}

/** Where this daemon's containers lie in the cgroup tree. */
export function layoutOf(config: DaemonConfig, hierarchy: CgroupHierarchy): CgroupLayout {
  const driver = config.cgroupDriver ?? defaultCgroupDriver(hierarchy);
  if (driver === "systemd" && !runsSystemd()) {
    throw invalid(
      "systemd cgroup driver passed, but systemd support for managing containers is not available: systemd is not this host's init",
    );
  }
  return cgroupLayout(driver, config.cgroupParent, config.instance);
}

export async function openRuntimes(
  config: DaemonConfig,
  parts: { readonly hierarchy: CgroupHierarchy; readonly layout: CgroupLayout; readonly log: Log },
): Promise<Runtimes> {
  const { execRoot, dataRoot } = config;
  const { hierarchy, layout, log } = parts;
  const deps = { execRoot, dataRoot, hierarchy, log };
  const builtin = ociRuntimes(deps);
  const all = new Map<string, OciRuntime>();
  const fill = () => {
    all.clear();
    for (const [name, runtime] of builtin) all.set(name, runtime);
    for (const [name, runtime] of configuredRuntimes(deps, config.runtimes, builtin)) all.set(name, runtime);
  };
  fill();
  // crun unless this host's cgroup layout is one that it refuses.
  const candidates = [...all.values()];
  const working = async () =>
    (await chooseRuntime({ candidates, hierarchy, directory: execRoot, layout, log })).name;
  const chosen = config.defaultRuntime ?? (await working());
  if (!all.has(chosen))
    throw new TugError("not-implemented", `no OCI runtime "${chosen}" was found on this host`);
  return {
    all,
    get default() {
      return config.defaultRuntime !== undefined && all.has(config.defaultRuntime)
        ? config.defaultRuntime
        : chosen;
    },
    reload: fill,
  };
}

/** `--cpu-rt-period` and `--cpu-rt-runtime`: what the kernel's real-time scheduler may give to all containers together. */
export function limitRealtime(
  config: DaemonConfig,
  parts: { readonly facts: HostFacts; readonly hierarchy: CgroupHierarchy; readonly layout: CgroupLayout },
): void {
  const { period, runtime } = config.cpuRealtime;
  if (!period && !runtime) return;
  if (parts.facts.cgroup === "v2")
    throw invalid("daemon-scoped cpu-rt-period and cpu-rt-runtime are not implemented for cgroup v2");
  if (!parts.facts.cgroupFeatures.cpuRealtime || parts.layout.driver === "systemd")
    throw invalid("daemon-scoped cpu-rt-period and cpu-rt-runtime are not supported by this host");
  const directory = controllerPath(cgroupPathsFor(parts.hierarchy, parts.layout.parent), "cpu") ?? "";
  mkdirSync(directory, { recursive: true });
  if (period) writeFileSync(join(directory, "cpu.rt_period_us"), String(period));
  if (runtime) writeFileSync(join(directory, "cpu.rt_runtime_us"), String(runtime));
}
