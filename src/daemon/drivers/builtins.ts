import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import { invalid } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { parseSize } from "../../base/lib/size.ts";
import type { CgroupHierarchy } from "../../base/sys/cgroup/cgroup.ts";
import { FileLogDriver } from "../../core/logging/drivers/file.ts";
import { fluentdDestination } from "../../core/logging/drivers/fluentd/fluentd.ts";
import { gelfDestination } from "../../core/logging/drivers/gelf/gelf.ts";
import { journaldDestination } from "../../core/logging/drivers/journald/journald.ts";
import { NoneLogDriver } from "../../core/logging/drivers/none.ts";
import { syslogDestination } from "../../core/logging/drivers/syslog/syslog.ts";
import { ForwardLogDriver } from "../../core/logging/forward/driver.ts";
import type { LogDriver } from "../../core/logging/logging.ts";
import { Crun } from "../../core/runtime/drivers/crun/crun.ts";
import { Runc } from "../../core/runtime/drivers/runc/runc.ts";
import type { OciRuntime } from "../../core/runtime/oci.ts";
import { SeccompCache } from "../../core/runtime/seccomp/cache.ts";
import { btrfsProblem, openBtrfs } from "../../core/snapshot/drivers/btrfs/btrfs.ts";
import {
  fuseOverlayProblem,
  openFuseOverlay,
} from "../../core/snapshot/drivers/fuse-overlayfs/fuse-overlayfs.ts";
import { openOverlay2 } from "../../core/snapshot/drivers/overlay2/overlay2.ts";
import { openVfs } from "../../core/snapshot/drivers/vfs/vfs.ts";
import { overlayProblem } from "../../core/snapshot/probe.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import { LocalVolumeDriver } from "../../core/volume/drivers/local/local.ts";
import type { VolumeDriver, VolumeStore } from "../../core/volume/volume.ts";
import type { RuntimeConfigs } from "../config/runtimes.ts";
import { findProgram } from "../find-program.ts";
import { devicemapperDriver, zfsDriver } from "./pool-drivers.ts";
import {
  chooseSnapshotter,
  readDriverOptions,
  type StorageDriver,
  type StorageDriverDeps,
} from "./storage-drivers.ts";

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
export function openSnapshotter(
  deps: StorageDriverDeps & { readonly wanted: string | undefined },
): Promise<Snapshotter> {
  return chooseSnapshotter(deps.wanted, storageDrivers(deps), deps);
}

/** In Docker's order of preference (graphdriver, driver_linux.go: "priority"). */
function storageDrivers(deps: StorageDriverDeps): readonly StorageDriver[] {
  const { db, clock, log, dataRoot, options } = deps;
  const at = (name: string) => ({ db, clock, log, root: join(dataRoot, name) });
  const unknown = (key: string) => `unknown option ${key}`;
  return [
    {
      name: "overlay2",
      problem: () => overlayProblem(dataRoot),
      open: () => {
        const known = ["overlay2.size", "overlay2.override_kernel_check"];
        const values = readDriverOptions(options, known, (key) => `overlay2: unknown option ${key}`);
        checkBoolean(values.get("overlay2.override_kernel_check") ?? "false");
        return openOverlay2({
          ...at("overlay2"),
          defaultSize: parseSize(values.get("overlay2.size") ?? "0"),
        });
      },
    },
    {
      name: "fuse-overlayfs",
      problem: () => fuseOverlayProblem(dataRoot, findProgram(["fuse-overlayfs"])),
      open: () => {
        readDriverOptions(options, [], unknown);
        return openFuseOverlay({
          ...at("fuse-overlayfs"),
          program: findProgram(["fuse-overlayfs"]) ?? "fuse-overlayfs",
        });
      },
    },
    {
      name: "btrfs",
      problem: () => btrfsProblem(dataRoot),
      open: () => {
        const values = readDriverOptions(options, ["btrfs.min_space"], unknown);
        return openBtrfs({ ...at("btrfs"), minSpace: parseSize(values.get("btrfs.min_space") ?? "0") });
      },
    },
    zfsDriver(deps),
    {
      name: "vfs",
      problem: () => undefined,
      open: () => {
        const values = readDriverOptions(options, ["size"], (key) => `unknown option ${key} for vfs`);
        return openVfs({ ...at("vfs"), defaultSize: parseSize(values.get("size") ?? "0") });
      },
    },
    devicemapperDriver(deps),
  ];
}

function checkBoolean(value: string): void {
  if (!/^(?:1|0|t|f|true|false)$/i.test(value))
    throw invalid(`overlay2.override_kernel_check: true or false is needed, not ${value}`);
}

export interface RuntimeDeps {
  readonly execRoot: string;
  readonly dataRoot: string;
  readonly hierarchy: CgroupHierarchy;
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
