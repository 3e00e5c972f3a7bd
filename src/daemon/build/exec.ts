import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import { internal } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { hostPlatform } from "../../base/spec/oci/platform.ts";
import type { CgroupHierarchy } from "../../base/sys/cgroup/cgroup.ts";
import { CacheMounts } from "../../build/cache/mounts/cache-mounts.ts";
import type { JoinableNetwork, StepRemap } from "../../build/run/exec/deps.ts";
import { ExecRunner } from "../../build/run/exec/runner.ts";
import type { StepSnapshots } from "../../build/run/runner.ts";

import type { NetworkService } from "../../core/network/network.ts";
import type { CgroupLayout } from "../../core/runtime/cgroup-driver.ts";
import { emulationOf } from "../../core/runtime/emulation.ts";
import type { HostFacts } from "../../core/runtime/spec.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { ContainerDefaults } from "../../engine/containers/context.ts";
import type { Remap } from "../../engine/containers/remap.ts";
import { mountMapped } from "../../engine/containers/start/remap.ts";
import type { Runtimes } from "../engine/runtimes.ts";

export interface BuildExecParts {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly runtimes: Runtimes;
  readonly hierarchy: CgroupHierarchy;
  readonly layout: CgroupLayout;
  readonly facts: HostFacts;
  readonly networks: NetworkService;
  readonly joinable: (container: string) => JoinableNetwork;
  readonly snapshots: Snapshotter;
  readonly steps: StepSnapshots;
  /** What a snapshot is called now (BuildSnapshots.current); it may have been renamed since its step. */
  readonly nameOf?: (snapshot: string) => string;
  readonly remap: Remap | undefined;
  readonly defaults: ContainerDefaults;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where cache mounts are kept. */
export function cacheMounts(parts: Pick<BuildExecParts, "dataRoot" | "clock" | "log">): CacheMounts {
  return new CacheMounts({ ...parts, root: join(parts.dataRoot, "build", "cache-mounts") });
}

/**
 * The runner of RUN steps with what containers have. Its `recover` comes before stale snapshots of builds are removed, `caches.recover`
 * before the first step; dispose it before the networks.
 */
export function execRunner(parts: BuildExecParts, caches: CacheMounts): ExecRunner {
  const { runtimes, defaults, remap } = parts;
  const host = hostPlatform();
  return new ExecRunner({
    root: join(parts.execRoot, "build"),
    runtime: (name = runtimes.default) => {
      const runtime = runtimes.all.get(name) ?? runtimes.all.get(runtimes.default);
      if (!runtime) throw internal("this daemon has no OCI runtime");
      return runtime;
    },
    hierarchy: parts.hierarchy,
    cgroups: parts.layout,
    facts: parts.facts,
    hostPlatform: host,
    emulation: (platform) => emulationOf(platform, host),
    networks: parts.networks,
    joinable: parts.joinable,
    snapshots: parts.steps,
    caches,
    remap: remap && stepRemap(parts, remap),
    defaults: {
      network: "bridge",
      dns: defaults.dns,
      dnsOptions: defaults.dnsOptions,
      dnsSearch: defaults.dnsSearch,
      hostGateway: defaults.hostGateway,
      ulimits: defaults.ulimits,
      get shmSize() {
        return defaults.shmSize;
      },
      cgroupnsMode: defaults.cgroupnsMode === "private" ? "private" : "host",
    },
    log: parts.log,
  });
}

function stepRemap({ snapshots, nameOf }: BuildExecParts, remap: Remap): StepRemap {
  return {
    maps: remap.maps,
    root: remap.root,
    bind: (source, target) => remap.bind(source, target),
    mount: (snapshot, mounts, target) => {
      const name = nameOf?.(snapshot) ?? snapshot;
      // A tree that is no snapshot (a transferred context) lies somewhere else.
      if (!snapshots.stat(name)) {
        for (const { source } of mounts) remap.bind(source, target);
        return;
      }
      mountMapped(snapshots, remap, name, target);
    },
  };
}
