import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/lib/clock.ts";
import type { ChainId } from "../base/lib/ids.ts";
import type { Log } from "../base/lib/log.ts";
import type { Builder } from "../base/spec/builder/builder.ts";
import { hostPlatform } from "../base/spec/oci/platform.ts";
import type { Database } from "../base/store/database.ts";
import { bootId } from "../base/sys/boot-id.ts";
import type { CgroupHierarchy } from "../base/sys/cgroup.ts";
import { statFileSystem } from "../base/sys/statfs.ts";
import { BuildService } from "../build/builder.ts";
import { cacheMountObjects } from "../build/cache/mounts/objects.ts";
import { BuildCaches } from "../build/cache/remote/caches.ts";
import { callBuild } from "../build/call-build.ts";
import { exporters } from "../build/export/exporters.ts";
import { LayerReaders } from "../build/export/layer-readers.ts";
import { LayerExport } from "../build/export/layers.ts";
import { readFrontendPolicy } from "../build/frontend/allowed.ts";
import { HandedOut } from "../build/llb/handed-out.ts";
import { planBuild } from "../build/plan/planner.ts";
import type { PlanDeps } from "../build/plan-build.ts";
import type { JoinableNetwork } from "../build/run/exec/deps.ts";
import { ChangesRunner } from "../build/run/file/changes-runner.ts";
import { SnapshotContentKeys } from "../build/run/file/content-keys.ts";
import { FileRunner } from "../build/run/file/file-runner.ts";
import { BuildFilesHelper } from "../build/run/file/helper.ts";
import { RestackRunner } from "../build/run/file/restack-runner.ts";
import { GitRunner } from "../build/run/sources/git.ts";
import { HttpRunner } from "../build/run/sources/http.ts";
import { HttpStore } from "../build/run/sources/http-store.ts";
import { type BuildImages, ImageRunner } from "../build/run/sources/images.ts";
import { withKeptTrees } from "../build/run/sources/kept-snapshots.ts";
import { KeptTrees } from "../build/run/sources/kept-trees.ts";
import { LocalRunner } from "../build/run/sources/local.ts";
import { contextObjects, downloadObjects, repositoryObjects } from "../build/run/sources/objects.ts";
import type { CacheCollector } from "../build/solve/collector.ts";
import { type GcPolicy, readGcPolicy } from "../build/solve/gc-policy.ts";
import type { CacheObjects } from "../build/solve/objects.ts";
import { type BuildStore, openBuildStore, openSolver } from "../build/solve/open.ts";
import type { NetworkService } from "../core/network/network.ts";
import type { CgroupLayout } from "../core/runtime/cgroup-driver.ts";
import type { HostFacts } from "../core/runtime/spec.ts";
import type { Snapshotter } from "../core/snapshot/snapshotter.ts";
import type { ContainerDefaults } from "../engine/containers/context.ts";
import type { Remap } from "../engine/containers/remap.ts";
import type { EventPublisher } from "../engine/events/event.ts";
import { BuildImageSource } from "../engine/images/build-source.ts";
import type { ImageServiceDeps } from "../engine/images/deps.ts";
import { cacheMounts, execRunner } from "./build-exec.ts";
import { buildExports, cacheRegistry } from "./build-exports.ts";
import { classicBackend } from "./classic-builder.ts";
import type { DaemonConfig } from "./config/config.ts";
import { helperCommand } from "./executable.ts";
import type { ImageParts } from "./images.ts";
import type { Runtimes } from "./runtimes.ts";

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
  const { config, images, imageDeps, snapshots, clock, log } = parts;
  const root = join(config.dataRoot, "build");
  const place = (name: string) => {
    const path = join(root, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  await using stack = new AsyncDisposableStack();
  const diskBytes = () => statFileSystem(config.dataRoot).totalBytes;
  // What is wrong in it keeps the daemon from starting, as with every other option.
  const policy = () => readGcPolicy(config.builder, diskBytes());
  policy();
  const frontends = readFrontendPolicy(config.builder);
  const caches = cacheMounts({ dataRoot: config.dataRoot, clock, log });
  const objects: CacheObjects[] = [cacheMountObjects(caches)];
  const store = openBuildStore({
    db: parts.database,
    snapshots,
    layers: images.store,
    objects: () => objects,
    policy,
    pruned: () => content.prune((name) => snapshots.stat(name) !== undefined),
    directory: place("state"),
    clock,
    log,
  });
  stack.use(store.collector);
  const helper = stack.use(new BuildFilesHelper({ helperCommand: helperCommand() }));
  const trees = await KeptTrees.open({ root: place("contexts"), clock, log, bootId: bootId() });
  const steps = withKeptTrees({ snapshots: store.steps, trees, helper });
  const scratch = place("scratch");
  const content = new SnapshotContentKeys({
    helper,
    snapshots: steps,
    trees,
    scratch,
    root: place("digests"),
  });
  const downloads = new HttpStore({ root: place("downloads"), clock, sizeLimit: downloadLimit });
  const git = new GitRunner({ root: place("git"), snapshots: steps, clock, log });
  objects.push(contextObjects(trees), downloadObjects(downloads), repositoryObjects(git));
  const source: BuildImages = new BuildImageSource(imageDeps);
  const image = new ImageRunner({ images: source });
  const exec = stack.use(
    execRunner(
      {
        ...parts,
        dataRoot: config.dataRoot,
        execRoot: config.execRoot,
        steps,
        nameOf: (name) => store.steps.current(name as ChainId),
      },
      caches,
    ),
  );
  const solver = openSolver({
    ...store,
    content,
    clock,
    log,
    runners: {
      exec,
      file: new FileRunner({ helper, snapshots: steps, scratch }),
      restack: new RestackRunner({ helper, snapshots: steps }),
      changes: new ChangesRunner({ helper, snapshots: steps, scratch }),
      image,
      "oci-layout": image,
      local: new LocalRunner({ trees }),
      http: new HttpRunner({ store: downloads, snapshots: steps }),
      git,
    },
  });
  const host = hostPlatform();
  const planning: PlanDeps = { solver, snapshots: steps, images: source, plan: planBuild, clock, host };
  const naming = {
    name: (snapshot: ChainId, chain: ChainId) => store.cache.name(snapshot, chain),
    writeBehind: () => store.steps.writeBehind(),
    sync: () => store.cache.sync(),
  };
  // Names change while builds hold them.
  const named = {
    layout: (name: ChainId) => store.steps.layout(name),
    stat: (name: string) => snapshots.stat(store.steps.current(name as ChainId)),
  };
  const readers = stack.use(new LayerReaders({ helperCommand: helperCommand() }));
  const layers = new LayerExport({
    snapshots: named,
    digests: readers,
    known: images.layers,
    naming,
  });
  const exporting = buildExports({ ...parts, steps, scratch, execRoot: config.execRoot });
  const handed = new HandedOut();
  const service = new BuildService({
    planning,
    frontends,
    clock,
    layers,
    exporters: exporters(exporting),
    caches: new BuildCaches({
      ...exporting,
      snapshots,
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
    pruning: {
      prune: async (...asked) => {
        const pruned = await store.collector.prune(...asked);
        const attributes = { reclaimed: String(pruned.bytes) };
        parts.events.publish({ type: "builder", action: "prune", id: "", attributes });
        return pruned;
      },
    },
    store,
    traits: {
      snapshotter: snapshots.name,
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

/** Bytes that a file of the network may have. */
const downloadLimit = 64 * 1024 ** 3;
