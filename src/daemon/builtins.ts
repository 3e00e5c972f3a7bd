import { join } from "node:path";
import type { Clock } from "../base/lib/clock.ts";
import { invalid, TugError } from "../base/lib/errors.ts";
import type { Log } from "../base/lib/log.ts";
import type { Database } from "../base/store/database.ts";
import type { CgroupHierarchy } from "../base/sys/cgroup.ts";
import { FileLogDriver } from "../core/logging/drivers/file.ts";
import { fluentdDestination } from "../core/logging/drivers/fluentd/fluentd.ts";
import { gelfDestination } from "../core/logging/drivers/gelf/gelf.ts";
import { journaldDestination } from "../core/logging/drivers/journald/journald.ts";
import { NoneLogDriver } from "../core/logging/drivers/none.ts";
import { syslogDestination } from "../core/logging/drivers/syslog/syslog.ts";
import { ForwardLogDriver } from "../core/logging/forward/driver.ts";
import type { LogDriver } from "../core/logging/logging.ts";
import type { CgroupDriver } from "../core/runtime/cgroup-driver.ts";
import { Crun } from "../core/runtime/drivers/crun/crun.ts";
import { Runc } from "../core/runtime/drivers/runc/runc.ts";
import type { OciRuntime } from "../core/runtime/oci.ts";
import { SeccompCache } from "../core/runtime/seccomp/cache.ts";
import { openOverlay2 } from "../core/snapshot/drivers/overlay2/overlay2.ts";
import { openVfs } from "../core/snapshot/drivers/vfs/vfs.ts";
import { overlayProblem } from "../core/snapshot/probe.ts";
import type { Snapshotter } from "../core/snapshot/snapshotter.ts";
import { LocalVolumeDriver } from "../core/volume/drivers/local/local.ts";
import type { VolumeDriver, VolumeStore } from "../core/volume/volume.ts";
import type { DaemonConfig } from "./config/config.ts";
import type { RuntimeConfigs } from "./config/runtimes.ts";
import { findProgram } from "./find-program.ts";

/**
 * The one table of drivers. Whoever writes a driver adds it here; nobody else knows drivers by name.
 */

export function logDrivers(deps: {
  readonly clock: Clock;
  readonly log: Log;
}): ReadonlyMap<string, LogDriver> {
  const drivers: readonly LogDriver[] = [
    new FileLogDriver("json-file", deps),
    new FileLogDriver("local", deps),
    new NoneLogDriver(),
    ...[syslogDestination(deps), journaldDestination(deps), gelfDestination, fluentdDestination].map(
      (destination) => new ForwardLogDriver(destination, deps),
    ),
  ];
  return new Map(drivers.map((driver) => [driver.name, driver]));
}

export function volumeDrivers(deps: {
  readonly dataRoot: string;
  readonly lookup: (host: string) => Promise<string>;
}): {
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly recover: (store: VolumeStore) => Promise<void>;
} {
  const local = new LocalVolumeDriver(deps);
  return { drivers: new Map([[local.name, local]]), recover: (store) => local.recover(store) };
}

/** The snapshotter of `--storage-driver`, else the best this host has for the data root. */
export async function openSnapshotter(deps: {
  readonly db: Database;
  readonly dataRoot: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly wanted: string | undefined;
  readonly options: DaemonConfig["storageOptions"];
}): Promise<Snapshotter> {
  const { db, clock, dataRoot, wanted } = deps;
  const name = wanted === "overlay" || wanted === "overlayfs" ? "overlay2" : wanted;
  if (name === "vfs") {
    checkVfsOptions(deps.options);
    return await openVfs({ db, clock, root: join(dataRoot, "vfs") });
  }
  if (name !== undefined && name !== "overlay2") {
    throw invalid(`error initializing graphdriver: driver not supported: ${wanted}`);
  }
  checkOverlayOptions(deps.options);
  const problem = overlayProblem(dataRoot);
  if (problem === undefined) return await openOverlay2({ db, clock, root: join(dataRoot, "overlay2") });
  if (name === "overlay2") {
    throw new TugError("not-implemented", `error initializing graphdriver: overlay2: ${problem}`);
  }
  deps.log.warn("overlay2 cannot be used here, falling back to whole copies (vfs)", { problem });
  return await openVfs({ db, clock, root: join(dataRoot, "vfs") });
}

/** `--storage-opt` for overlay2: nothing here sets quotas, and a limit that does not hold must not be accepted. */
function checkOverlayOptions(options: DaemonConfig["storageOptions"]): void {
  for (const [key, value] of options) {
    if (key === "overlay2.override_kernel_check") {
      if (/^(?:1|0|t|f|true|false)$/i.test(value)) continue;
      throw invalid(`error initializing graphdriver: ${key}: true or false is needed, not ${value}`);
    }
    if (key === "overlay2.size") {
      throw invalid(
        "error initializing graphdriver: Storage option overlay2.size is only supported for backingFS XFS with project quotas, which this daemon does not set",
      );
    }
    throw invalid(`error initializing graphdriver: overlay2: unknown option ${key}`);
  }
}

function checkVfsOptions(options: DaemonConfig["storageOptions"]): void {
  const [first] = options;
  if (first) throw invalid(`error initializing graphdriver: unknown option ${first[0]} for vfs`);
}

export interface RuntimeDeps {
  readonly execRoot: string;
  readonly dataRoot: string;
  readonly hierarchy: CgroupHierarchy;
  readonly cgroupDriver: CgroupDriver;
  readonly log: Log;
}

/** The OCI runtimes of this host that are known by name: crun before runc. */
export function ociRuntimes(deps: RuntimeDeps): ReadonlyMap<string, OciRuntime> {
  const runtimes = new Map<string, OciRuntime>();
  const seccomp = new SeccompCache({ directory: join(deps.dataRoot, "seccomp") });
  const crun = findProgram(["crun"]);
  if (crun) {
    runtimes.set(
      "crun",
      new Crun({
        path: crun,
        root: runtimeRoot(deps, "crun"),
        cgroupManager: deps.cgroupDriver,
        hierarchy: deps.hierarchy,
        seccomp,
      }),
    );
  }
  const runc = findProgram(["runc"]);
  if (runc) runtimes.set("runc", genericRuntime(deps, "runc", runc, []));
  return runtimes;
}

const runtimeRoot = (deps: RuntimeDeps, name: string) => join(deps.execRoot, "oci", name);

function genericRuntime(deps: RuntimeDeps, name: string, path: string, args: readonly string[]): OciRuntime {
  return new Runc({
    name,
    path,
    args,
    root: runtimeRoot(deps, name),
    systemdCgroup: deps.cgroupDriver === "systemd",
  });
}

/** Those of the configuration, which may take the place of the others. */
export function configuredRuntimes(
  deps: RuntimeDeps,
  configured: RuntimeConfigs,
  builtin: ReadonlyMap<string, OciRuntime>,
): ReadonlyMap<string, OciRuntime> {
  const runtimes = new Map<string, OciRuntime>();
  for (const [name, { path: program, args }] of Object.entries(configured)) {
    const path = findProgram([program]);
    if (path === undefined) {
      // Containers of the others must not suffer for it.
      deps.log.warn("a configured runtime was not found", { runtime: name, path: program });
      continue;
    }
    // The one that is known better anyway.
    if (builtin.get(name)?.path === path && args.length === 0) continue;
    runtimes.set(name, genericRuntime(deps, name, path, args));
  }
  return runtimes;
}
