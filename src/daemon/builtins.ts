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
}): Promise<Snapshotter> {
  const { db, clock, dataRoot, wanted } = deps;
  const name = wanted === "overlay" || wanted === "overlayfs" ? "overlay2" : wanted;
  if (name === "vfs") return await openVfs({ db, clock, root: join(dataRoot, "vfs") });
  if (name !== undefined && name !== "overlay2") {
    throw invalid(`error initializing graphdriver: driver not supported: ${wanted}`);
  }
  const problem = overlayProblem(dataRoot);
  if (problem === undefined) return await openOverlay2({ db, clock, root: join(dataRoot, "overlay2") });
  if (name === "overlay2") {
    throw new TugError("not-implemented", `error initializing graphdriver: overlay2: ${problem}`);
  }
  deps.log.warn("overlay2 cannot be used here, falling back to whole copies (vfs)", { problem });
  return await openVfs({ db, clock, root: join(dataRoot, "vfs") });
}

/** The OCI runtimes of this host: crun before runc, then those of the configuration. */
export function ociRuntimes(deps: {
  readonly execRoot: string;
  readonly dataRoot: string;
  readonly hierarchy: CgroupHierarchy;
  readonly configured: Readonly<Record<string, string>>;
}): ReadonlyMap<string, OciRuntime> {
  const runtimes = new Map<string, OciRuntime>();
  const root = (name: string) => join(deps.execRoot, "oci", name);
  const seccomp = new SeccompCache({ directory: join(deps.dataRoot, "seccomp") });
  const crun = findProgram(["crun"]);
  if (crun) {
    runtimes.set(
      "crun",
      new Crun({
        path: crun,
        root: root("crun"),
        cgroupManager: "cgroupfs",
        hierarchy: deps.hierarchy,
        seccomp,
      }),
    );
  }
  const runc = findProgram(["runc"]);
  if (runc) runtimes.set("runc", new Runc({ path: runc, root: root("runc"), systemdCgroup: false }));
  for (const [name, program] of Object.entries(deps.configured)) {
    const path = findProgram([program]);
    if (!path) throw invalid(`invalid runtime "${name}": program ${program} not found`);
    runtimes.set(name, new Runc({ name, path, root: root(name), systemdCgroup: false }));
  }
  return runtimes;
}
