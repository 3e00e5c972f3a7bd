import type { Clock } from "../../base/lib/clock.ts";
import type { ChainId, ImageId } from "../../base/lib/ids.ts";
import type { KeyedMutex } from "../../base/lib/mutex.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { ContentStore } from "../../core/content/content.ts";
import type { ImageFetcher, Pusher, RegistryClient } from "../../core/distribution/distribution.ts";
import type { Debootstrap } from "../../core/image/bootstrap/debootstrap.ts";
import type { Image, ImageArchives, ImageStore, Unpacker } from "../../core/image/image.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { EventPublisher } from "../events/event.ts";
import type { ReceivedBlobs } from "./received.ts";

/** Containers made from an image, running or not; supplied by the containers service. */
export interface ImageUsers {
  usersOf(image: ImageId): readonly ImageUser[];
}

export interface ImageUser {
  readonly id: string;
  readonly running: boolean;
}

/** What the image operations work with; the daemon composes it once. */
export interface ImageServiceDeps {
  readonly images: ImageStore;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  /** Bytes of a layer's files, as image sizes count them; 0 when unknown. */
  readonly layerSize: (layer: ChainId) => number;
  readonly unpacker: Unpacker;
  readonly archives: ImageArchives;
  /** The image with blobs and manifest, which one that was built here gets when they are first needed. */
  readonly complete: (id: ImageId, signal?: AbortSignal) => Promise<Image>;
  readonly bootstrap: Debootstrap;
  readonly received: ReceivedBlobs;
  readonly registry: RegistryClient;
  /** The same for registries with any certificate or none, where a request says so. */
  readonly anyRegistry: RegistryClient & Pusher;
  readonly fetcher: ImageFetcher;
  readonly pusher: Pusher;
  /** Blobs that one push sends at once (dockerd's --max-concurrent-uploads); 5 unless told. */
  readonly parallelUploads?: () => number;
  readonly users: ImageUsers;
  readonly events: EventPublisher;
  readonly clock: Clock;
  /** This host's. */
  readonly platform: Platform;
  /** One lock for what adds and removes names and records, keyed by image; and one a layer being unpacked. */
  readonly locks: KeyedMutex;
  /** Drops what has come of downloads that nobody goes on with; returns the bytes freed. */
  readonly dropPartials?: () => Promise<number>;
  /** Removes blobs and layers that nothing reaches any more. */
  readonly collect: () => Promise<void>;
}
