import { join } from "node:path";
import type { Clock } from "../base/lib/clock.ts";
import type { Log } from "../base/lib/log.ts";
import { KeyedMutex } from "../base/lib/mutex.ts";
import { tugVersion } from "../base/lib/product.ts";
import { hostPlatform } from "../base/spec/oci/platform.ts";
import type { Database } from "../base/store/database.ts";
import type { UnreadableRecords } from "../base/store/unreadable.ts";
import { FileContentStore } from "../core/content/file-store.ts";
import { HttpRegistryClient } from "../core/distribution/client.ts";
import { ParallelImageFetcher } from "../core/distribution/image-fetcher.ts";
import { proxyFromEnvironment, type RegistryConfig } from "../core/distribution/registry-config.ts";
import { FilesClient } from "../core/files/client.ts";
import { TarArchives } from "../core/image/archive/archives.ts";
import { Debootstrap } from "../core/image/bootstrap/debootstrap.ts";
import { LayerBlobs } from "../core/image/layer-blobs.ts";
import { LayerRecords } from "../core/image/layers.ts";
import { recoverImages } from "../core/image/recovery.ts";
import { SqliteImageStore } from "../core/image/store.ts";
import { ProcessUnpacker } from "../core/image/unpack/unpacker.ts";
import type { Snapshotter } from "../core/snapshot/snapshotter.ts";
import type { EventPublisher } from "../engine/events/event.ts";
import type { ImageServiceDeps, ImageUsers } from "../engine/images/deps.ts";
import { ReceivedBlobs } from "../engine/images/received.ts";
import type { DaemonConfig } from "./config/config.ts";
import { helperCommand } from "./executable.ts";
import { findProgram } from "./find-program.ts";

export interface ImageParts {
  readonly store: SqliteImageStore;
  readonly content: FileContentStore;
  readonly layers: LayerRecords;
  readonly unpacker: ProcessUnpacker;
  readonly blobs: LayerBlobs;
  recover(): Promise<void>;
  /** What the image service works with, once it is known who uses images. */
  serviceDeps(users: ImageUsers): ImageServiceDeps;
}

/** How long what has come of a broken download waits for somebody to go on with it: a week, in ms. */
const partialsKept = 7 * 24 * 3_600_000;

/** Everything about images, from registry to snapshots. */
export function composeImages(deps: {
  readonly config: DaemonConfig;
  readonly database: Database;
  readonly unreadable: UnreadableRecords;
  readonly clock: Clock;
  readonly log: Log;
  readonly snapshots: Snapshotter;
  readonly events: EventPublisher;
  /** Layers that something other than images and containers keeps. */
  readonly otherLayers: () => Iterable<string>;
}): ImageParts {
  const { config, clock, log, snapshots, events } = deps;
  const content = new FileContentStore({ root: join(config.dataRoot, "content") });
  const layers = new LayerRecords({ db: deps.database, clock });
  const { unreadable, otherLayers } = deps;
  const db = deps.database;
  const store = new SqliteImageStore({ db, content, snapshots, layers, clock, unreadable, otherLayers });
  const unpacker = new ProcessUnpacker({
    helperCommand: helperCommand(),
    content,
    snapshots,
    layers,
  });
  const platform = hostPlatform();
  const archives = new TarArchives({
    content,
    images: store,
    unpacker,
    snapshots,
    layers,
    collect: () => store.collect(),
  });
  const bootstrap = new Debootstrap({
    root: join(config.dataRoot, "bootstrap"),
    helperCommand: helperCommand(),
    findProgram: (name) => findProgram([name]),
  });
  const blobs = new LayerBlobs({
    content,
    images: store,
    snapshots,
    layers,
    writer: new FilesClient({ helperCommand: helperCommand() }),
  });
  const environment = proxyFromEnvironment(process.env);
  const registryConfig = (insecureRegistries: () => readonly string[]): RegistryConfig => ({
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
  });
  const registry = new HttpRegistryClient({
    content,
    clock,
    config: registryConfig(() => config.insecureRegistries),
  });
  const anyRegistry = new HttpRegistryClient({
    content,
    clock,
    config: registryConfig(() => ["0.0.0.0/0", "::/0"]),
  });
  const fetcher = new ParallelImageFetcher({
    client: registry,
    content,
    maxConcurrent: () => config.maxConcurrentDownloads,
  });
  const locks = new KeyedMutex();
  return {
    store,
    content,
    layers,
    unpacker,
    blobs,
    recover: async () => {
      await recoverImages({ images: store, unpacker, snapshots, content, log });
      await content.dropPartials(partialsKept);
      await bootstrap.recover();
    },
    serviceDeps: (users) => ({
      images: store,
      content,
      snapshots,
      layerSize: (layer) => layers.size(layer) ?? 0,
      unpacker,
      archives,
      complete: (id, signal) => blobs.complete(id, signal),
      bootstrap,
      received: new ReceivedBlobs({ lease: () => content.lease(), collect: () => store.collect() }),
      registry,
      anyRegistry,
      fetcher,
      pusher: registry,
      parallelUploads: () => config.maxConcurrentUploads,
      users,
      events,
      clock,
      platform,
      locks,
      dropPartials: () => content.dropPartials(0),
      collect: () => store.collect(),
    }),
  };
}
