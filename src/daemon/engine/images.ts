import { join } from "node:path";
import { KeyedMutex } from "../../base/lib/mutex.ts";
import { hostPlatform } from "../../base/spec/oci/platform.ts";
import { FileContentStore } from "../../core/content/file-store.ts";
import { ParallelImageFetcher } from "../../core/distribution/transfer/image-fetcher.ts";
import { FilesClient } from "../../core/files/client.ts";
import { TarArchives } from "../../core/image/archive/archives.ts";
import { Debootstrap } from "../../core/image/bootstrap/debootstrap.ts";
import { LayerBlobs } from "../../core/image/layer-blobs.ts";
import { LayerRecords } from "../../core/image/layers.ts";
import { recoverImages } from "../../core/image/recovery.ts";
import { SqliteImageStore } from "../../core/image/store.ts";
import { ProcessUnpacker } from "../../core/image/unpack/unpacker.ts";
import type { ImageServiceDeps, ImageUsers } from "../../engine/images/deps.ts";
import { ReceivedBlobs } from "../../engine/images/received.ts";
import { helperCommand } from "../executable.ts";
import { findProgram } from "../find-program.ts";
import type { Mechanisms } from "./mechanisms.ts";
import { registryClients } from "./registries.ts";

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
  readonly mechanisms: Mechanisms;
  /** Whether something other than images and containers keeps a layer. */
  readonly keptByOthers: (layer: string) => boolean;
}): ImageParts {
  const { config, clock, databases, snapshots } = deps.mechanisms;
  const { durable: db, unreadable } = databases;
  const { keptByOthers } = deps;
  const content = new FileContentStore({ root: join(config.dataRoot, "content") });
  const layers = new LayerRecords({ db, clock });
  const store = new SqliteImageStore({ db, content, snapshots, layers, clock, unreadable, keptByOthers });
  const unpacker = new ProcessUnpacker({
    helperCommand: helperCommand(),
    content,
    snapshots,
    layers,
  });
  const blobs = new LayerBlobs({
    content,
    images: store,
    snapshots,
    layers,
    writer: new FilesClient({ helperCommand: helperCommand() }),
  });
  const bootstrap = new Debootstrap({
    root: join(config.dataRoot, "bootstrap"),
    helperCommand: helperCommand(),
    findProgram: (name) => findProgram([name]),
  });
  const parts = { store, content, layers, unpacker, blobs };
  const perService = imageServiceDeps(deps.mechanisms, { ...parts, bootstrap });
  return {
    ...parts,
    recover: async () => {
      await recoverImages({ images: store, unpacker, snapshots, content, log: deps.mechanisms.log });
      await content.dropPartials(partialsKept);
      await bootstrap.recover();
    },
    serviceDeps: (users) => ({ ...perService, users }),
  };
}

type Stores = Pick<ImageParts, "store" | "content" | "layers" | "unpacker" | "blobs">;

function imageServiceDeps(
  { config, clock, events, snapshots }: Mechanisms,
  { store, content, layers, unpacker, blobs, bootstrap }: Stores & { readonly bootstrap: Debootstrap },
): Omit<ImageServiceDeps, "users"> {
  const { registry, anyRegistry } = registryClients({ config, content, clock });
  const collect = () => store.collect();
  return {
    images: store,
    content,
    snapshots,
    layerSize: (layer) => layers.size(layer) ?? 0,
    unpacker,
    archives: new TarArchives({ content, images: store, unpacker, snapshots, layers, collect }),
    complete: (id, signal) => blobs.complete(id, signal),
    bootstrap,
    received: new ReceivedBlobs({ lease: () => content.lease(), collect }),
    registry,
    anyRegistry,
    fetcher: new ParallelImageFetcher({
      client: registry,
      content,
      maxConcurrent: () => config.maxConcurrentDownloads,
    }),
    pusher: registry,
    parallelUploads: () => config.maxConcurrentUploads,
    events,
    clock,
    platform: hostPlatform(),
    locks: new KeyedMutex(),
    dropPartials: () => content.dropPartials(0),
    collect,
  };
}
