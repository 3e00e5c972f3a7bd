import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import type { Log } from "../../base/lib/log.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";
import type { Database } from "../../base/store/database.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { ContentKeys } from "../run/runner.ts";
import { BuildCache, type ImageLayers } from "./cache.ts";
import { CacheCollector } from "./collector.ts";
import type { GcPolicy } from "./gc-policy.ts";
import type { CacheObjects } from "./objects.ts";
import { CacheRecords } from "./records.ts";
import type { Runners } from "./runners.ts";
import { GraphSolver, type GraphSolverDeps } from "./solver.ts";
import { BuildSnapshots } from "./step-snapshots.ts";

export interface BuildStoreDeps {
  /** The file that has the snapshots' records: what is durable in one is not newer than the other. */
  readonly db: Database;
  readonly snapshots: Snapshotter;
  readonly layers: ImageLayers;
  readonly objects: () => readonly CacheObjects[];
  /** daemon.json's `builder.gc` as `readGcPolicy` reads it; asked before each collection. */
  readonly policy: () => GcPolicy;
  /** Snapshots may have gone: who remembers something of them forgets it. */
  readonly pruned?: () => void;
  /** The builder's own, e.g. /var/lib/tug/build. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Of tests. */
  readonly boot?: string;
}

/** What builds keep. `steps` is what runners make their trees with. */
export interface BuildStore {
  readonly steps: BuildSnapshots;
  readonly records: CacheRecords;
  readonly cache: BuildCache;
  /** Disk usage, prune and the automatic collection. Dispose it when the daemon stops. */
  readonly collector: CacheCollector;
}

export function openBuildStore(deps: BuildStoreDeps): BuildStore {
  const { snapshots, layers, objects, clock, log } = deps;
  const steps = new BuildSnapshots({ snapshots, empty: join(deps.directory, "empty"), log });
  const records = new CacheRecords(deps);
  const cache = new BuildCache({ records, steps, snapshots, layers, objects, clock, log });
  const collector = new CacheCollector({ ...deps, records, cache });
  return { steps, records, cache, collector };
}

export function openSolver(
  deps: Pick<BuildStore, "cache" | "records" | "collector"> & {
    readonly runners: Runners;
    readonly content: ContentKeys;
    readonly clock: Clock;
    readonly log: Log;
  } & Pick<GraphSolverDeps, "hasDevice">,
): GraphSolver {
  // A step waits for the network or the disk half of its time; a source nearly always.
  const steps = new Semaphore(Math.max(4, availableParallelism()));
  const ended = () => deps.collector.touch();
  return new GraphSolver({ ...deps, steps, sources: new Semaphore(8), ended });
}
