import type { Clock } from "../../base/lib/clock.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Builder } from "../../base/spec/builder/builder.ts";
import { hostPlatform } from "../../base/spec/oci/platform.ts";
import type { Database } from "../../base/store/database.ts";
import type { CgroupHierarchy } from "../../base/sys/cgroup/cgroup.ts";
import { statFileSystem } from "../../base/sys/statfs.ts";
import { BuildService } from "../../build/builder.ts";
import { BuildCaches } from "../../build/cache/remote/caches.ts";
import { callBuild } from "../../build/call-build.ts";
import { exporters } from "../../build/export/exporters.ts";
import { LayerReaders } from "../../build/export/layer-readers.ts";
import { LayerExport } from "../../build/export/layers.ts";
import { readFrontendPolicy } from "../../build/frontend/allowed.ts";
import { HandedOut } from "../../build/llb/handed-out.ts";
import { planBuild } from "../../build/plan/planner.ts";
import type { PlanDeps } from "../../build/plan-build.ts";
import type { JoinableNetwork } from "../../build/run/exec/deps.ts";
import type { ExecRunner } from "../../build/run/exec/runner.ts";
import { hasDevice } from "../../build/run/exec/spec-input.ts";
import { ChangesRunner } from "../../build/run/file/changes-runner.ts";
import { FileRunner } from "../../build/run/file/file-runner.ts";
import { RestackRunner } from "../../build/run/file/restack-runner.ts";
import { HttpRunner } from "../../build/run/sources/http.ts";
import { type BuildImages, ImageRunner } from "../../build/run/sources/images.ts";
import { LocalRunner } from "../../build/run/sources/local.ts";
import type { CacheCollector } from "../../build/solve/collector.ts";
import { type GcPolicy, readGcPolicy } from "../../build/solve/gc-policy.ts";
import { type BuildStore, openSolver } from "../../build/solve/open.ts";
import type { Runners } from "../../build/solve/runners.ts";
import type { NetworkService } from "../../core/network/network.ts";
import type { CgroupLayout } from "../../core/runtime/cgroup-driver.ts";
import type { HostFacts } from "../../core/runtime/spec.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { ContainerDefaults } from "../../engine/containers/context.ts";
import type { Remap } from "../../engine/containers/remap.ts";
import type { EventPublisher } from "../../engine/events/event.ts";
import { BuildImageSource } from "../../engine/images/build-source.ts";
import type { ImageServiceDeps } from "../../engine/images/deps.ts";
import type { DaemonConfig } from "../config/config.ts";
import type { ImageParts } from "../engine/images.ts";
import type { Runtimes } from "../engine/runtimes.ts";
import { helperCommand } from "../executable.ts";
import { classicBackend } from "./classic.ts";
import { execRunner } from "./exec.ts";
import { buildExports, cacheRegistry } from "./exports.ts";
import { type BuildStorage, currentLayers, openBuildStorage } from "./storage.ts";

export interface BuilderParts {
  readonly config: DaemonConfig;
  readonly database: Database;
  readonly images: ImageParts;
  readonly imageDeps: ImageServiceDeps;
  readonly snapshots: Snapshotter;
  readonly networks: NetworkService;
  readonly joinable: (container: string) => JoinableNetwork;
  readonly runtimes: Runtimes;
  readonly hierarchy: CgroupHierarchy;
  readonly layout: CgroupLayout;
  readonly facts: HostFacts;
  readonly remap: Remap | undefined;
  readonly defaults: ContainerDefaults;
  readonly events: EventPublisher;
  readonly clock: Clock;
  readonly log: Log;
}

/** The builder with everything it runs on. Dispose it before networks and snapshots. */
export interface ComposedBuilder extends AsyncDisposable {
  readonly service: Builder;
  readonly classic: ReturnType<typeof classicBackend>;
  readonly collector: CacheCollector;
  /** The collector's, told in the log of events. */
  readonly pruning: Pick<CacheCollector, "prune">;
  readonly store: BuildStore;
  /** What it tells of itself, as it is at the moment. */
  readonly traits: {
    readonly snapshotter: string;
    hostGateway(): string | undefined;
    gc(): GcPolicy;
  };
  /** Records and snapshots agree again; before images are collected. */
  recover(): Promise<void>;
  /** What steps of an earlier daemon left goes; when networks and containers have recovered. */
  recoverSteps(): Promise<void>;
}

export async function composeBuilder(parts: BuilderParts): Promise<ComposedBuilder> {
  const { config, imageDeps, clock } = parts;
  await using stack = new AsyncDisposableStack();
  const policy = gcPolicy(config);
  const storage = await openBuildStorage({ ...parts, dataRoot: config.dataRoot, policy }, stack);
  const { store, caches, steps, trees } = storage;
  const images: BuildImages = new BuildImageSource(imageDeps);
  const exec = stack.use(stepRunner(parts, storage));
  const solver = openSolver({
    ...store,
    content: storage.content,
    clock,
    log: parts.log,
    runners: runners(storage, images, exec),
    hasDevice: (name) => hasDevice(parts.facts, name),
  });
  const host = hostPlatform();
  const planning: PlanDeps = { solver, snapshots: steps, images, plan: planBuild, clock, host };
  const layers = layerExport(parts, storage, stack);
  const exporting = buildExports({ ...parts, steps, scratch: storage.scratch, execRoot: config.execRoot });
  const handed = new HandedOut();
  const service = new BuildService({
    planning,
    // Each build by what the configuration says then.
    frontends: (ref) => readFrontendPolicy(config.builder)(ref),
    clock,
    layers,
    exporters: exporters(exporting),
    caches: new BuildCaches({
      ...exporting,
      snapshots: parts.snapshots,
      records: store.records,
      currentName: (name) => store.steps.current(name),
      layers,
      registry: cacheRegistry(imageDeps),
      mounts: caches,
    }),
    call: callBuild({ ...planning, handed }),
    exec,
    handed,
    trees: exporting.trees,
  });
  const owned = stack.move();
  return {
    service,
    classic: classicBackend({ builder: service, trees }),
    collector: store.collector,
    pruning: toldPruning(store.collector, parts.events),
    store,
    traits: {
      snapshotter: parts.snapshots.name,
      hostGateway: () => parts.defaults.hostGateway(),
      gc: policy,
    },
    recover: async () => {
      await caches.recover();
      await exporting.trees.recover();
      await store.cache.recover();
    },
    recoverSteps: () => exec.recover(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** When the cache is collected, as the configuration has it now. */
function gcPolicy(config: DaemonConfig): () => GcPolicy {
  return () => readGcPolicy(config.builder, statFileSystem(config.dataRoot).totalBytes);
}

/** What runs RUN steps. */
function stepRunner(parts: BuilderParts, { steps, store, caches }: BuildStorage): ExecRunner {
  const { dataRoot, execRoot } = parts.config;
  const nameOf = (name: string) => store.steps.current(name as ChainId);
  return execRunner({ ...parts, dataRoot, execRoot, steps, nameOf }, caches);
}

/** One for each kind of vertex. */
function runners(storage: BuildStorage, images: BuildImages, exec: ExecRunner): Runners {
  const { helper, scratch, steps: snapshots, notes, trees, downloads, git } = storage;
  const image = new ImageRunner({ images });
  return {
    exec,
    file: new FileRunner({ helper, snapshots, scratch, notes }),
    restack: new RestackRunner({ helper, snapshots }),
    changes: new ChangesRunner({ helper, snapshots, scratch }),
    image,
    "oci-layout": image,
    local: new LocalRunner({ trees }),
    http: new HttpRunner({ store: downloads, snapshots }),
    git,
  };
}

/** What makes layers of images out of steps' results. */
function layerExport(
  { images, snapshots }: BuilderParts,
  { store }: BuildStorage,
  owned: AsyncDisposableStack,
): LayerExport {
  return new LayerExport({
    snapshots: currentLayers(store, snapshots),
    digests: owned.use(new LayerReaders({ helperCommand: helperCommand() })),
    known: images.layers,
    naming: {
      name: (snapshot, chain) => store.cache.name(snapshot, chain),
      writeBehind: () => store.steps.writeBehind(),
      sync: () => store.cache.sync(),
    },
  });
}

/** Pruning that is told in the log of events. */
function toldPruning(collector: CacheCollector, events: EventPublisher): ComposedBuilder["pruning"] {
  return {
    prune: async (...asked) => {
      const pruned = await collector.prune(...asked);
      const attributes = { reclaimed: String(pruned.bytes) };
      events.publish({ type: "builder", action: "prune", id: "", attributes });
      return pruned;
    },
  };
}
