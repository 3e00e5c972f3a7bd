import type { ChainId, DiffId, Digest, ImageId } from "../../base/lib/ids.ts";
import type { ImageInventory } from "../../base/spec/docker/extensions.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import type { Lease } from "../content/content.ts";

/**
 * Images: a config (whose digest is the image id), an ordered stack of unpacked layers, and the names that point at it.
 * An image record exists only when all its layers are unpacked; removing the last name and id removes record, layers that
 * no other image or container uses, and blobs.
 *
 * A multi-platform image is an index of which any number of platforms is here, each an image of its own. Its names are
 * given to the index and mean the platform that suits this host best (`chosen`); the others are that image's `siblings`,
 * which people see as one image with it as long as they have no names of their own. The documents, attestations too, are
 * kept byte for byte, so that what is pushed or saved has the digest it came with.
 */
export interface Image {
  readonly id: ImageId;
  readonly config: ImageConfig;
  /** Manifest that brought it last, if one did; the blob is kept in content. */
  readonly manifest: Descriptor | undefined;
  /** The index it belongs to: its first name's, or the one that brought it. */
  readonly index: Digest | undefined;
  /** Other platforms of its indexes that are here. */
  readonly siblings: readonly ImageId[];
  /** Familiar names with tags, e.g. "busybox:latest", sorted. */
  readonly tags: readonly string[];
  /** Familiar names with digests, e.g. "busybox@sha256:…", sorted. */
  readonly digests: readonly string[];
  readonly layers: readonly DiffId[];
  /** Top of the layer stack; undefined for an image without layers. */
  readonly chainId: ChainId | undefined;
  /** Bytes of all unpacked layers. */
  readonly size: number;
  /** Milliseconds since the epoch of the last change of tags; Metadata.LastTagTime. */
  readonly lastTagged: number;
  readonly parent: ImageId | undefined;
}

/** An index and which of its platforms are here. */
export interface ImageIndex {
  readonly descriptor: Descriptor;
  /** What it lists, in its order; an index inside it stands as what that lists. */
  readonly manifests: readonly Descriptor[];
  /** Images by the manifest that brought them. */
  readonly present: ReadonlyMap<Digest, ImageId>;
  /** What its names mean: the platform that suits this host best, or any. */
  readonly chosen: ImageId | undefined;
}

/** What a person's word for an image stands for. */
export interface Found {
  readonly image: Image;
  /** The index or manifest that the word (or the platform asked for) names; undefined for an image that never had a manifest. */
  readonly target: Descriptor | undefined;
  /** The same when it is an index. */
  readonly index: ImageIndex | undefined;
}

/** The records. Look-ups are synchronous: they are one indexed SQLite read. */
export interface ImageStore {
  /** What people see: every image but the platforms that are shown as part of another. */
  list(): readonly Image[];
  /** Every record. */
  all(): readonly Image[];
  get(id: ImageId): Image | undefined;
  /**
   * Finds by what a person types: name, name:tag, name@digest (of index or manifest), full id, or a unique prefix of an id or
   * of such a digest. With `platform`, that platform of it. Throws not-found "No such image: <ref>" (with ":latest" added as
   * Docker does), or in Docker's words for a platform that is not here; invalid-argument for an ambiguous prefix.
   */
  resolve(reference: string, platform?: Platform): Image;
  /** The same, with what the word names. */
  find(reference: string, platform?: Platform): Found;
  /** Adds a name; moves it when it pointed elsewhere (returns the image that lost it, if any). Without `target` it names the image's index, or its manifest. */
  tag(id: ImageId, reference: string, target?: Digest): ImageId | undefined;
  /** Takes a name or digest reference away; returns the id it named. */
  untag(reference: string): ImageId;
  /** Records an image whose layers are all unpacked and whose config blob is in content. */
  add(record: NewImage): Image;
  /** Removes record and every layer and blob nothing else reaches; returns the chain ids deleted, top first. */
  delete(id: ImageId): Promise<readonly ChainId[]>;
  /** The record alone, at once; what it returns removes the rest, as `delete` does. */
  drop(id: ImageId): () => Promise<readonly ChainId[]>;
  /** Changes of records that are written as one: after a daemon's death there are all of them or none. */
  atOnce(change: () => void): void;
}

export interface NewImage {
  readonly id: ImageId;
  readonly manifest?: Descriptor;
  /** The index it is a platform of; then that is what the references name. */
  readonly index?: NewIndex;
  readonly parent?: ImageId;
  /** Blobs of its layers that are here although it has no manifest: they cannot be made again, byte for byte. */
  readonly blobs?: readonly Digest[];
  /** References to add: "name:tag" or "name@digest". */
  readonly references: readonly string[];
}

export interface NewIndex {
  readonly descriptor: Descriptor;
  readonly manifests: readonly Descriptor[];
  /** What else is kept with it: indexes inside it, attestations and their blobs. */
  readonly blobs: readonly Digest[];
}

/** One layer to unpack: its blob (any supported compression) and the diffID its tar must hash to. */
export interface LayerSource {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
}

/** Turns layer blobs into committed snapshots, in a one-shot helper process that is rooted inside the tree. */
export interface Unpacker {
  /** Unpacks one layer onto `parent`; a no-op when the chain id is there. Throws data-loss on a diffID mismatch or bad tar. */
  unpack(
    layer: LayerSource,
    parent: ChainId | undefined,
    options: { readonly signal?: AbortSignal; readonly onProgress?: (done: number, total: number) => void },
  ): Promise<ChainId>;
  /** Checks a blob that is new against the diffID of a layer that is unpacked already. Throws data-loss. */
  verify(layer: LayerSource, signal?: AbortSignal): Promise<void>;
}

/** Archives in and out. Both directions stream. */
export interface ImageArchives {
  /** docker-archive or OCI layout tar, plain/gzip/zstd/bzip2/xz. Returns what was loaded, in order. */
  load(
    tar: ReadableStream<Uint8Array>,
    options?: {
      readonly platforms?: readonly Platform[];
      readonly signal?: AbortSignal;
      /** Keeps the blobs that came whole, also those of a load that failed. */
      readonly received?: Lease;
    },
  ): AsyncIterable<LoadEvent>;
  /** A tar holding both layouts (manifest.json and index.json), as current Docker writes it; `platforms` leaves others out. */
  save(
    references: readonly string[],
    options?: {
      readonly platforms?: readonly Platform[];
      /** Leaves out the layers that this side has. */
      readonly missingOn?: ImageInventory;
    },
  ): ReadableStream<Uint8Array>;
  /** A root file system tar becomes a one-layer image. */
  import(
    tar: ReadableStream<Uint8Array>,
    config: ImageConfig,
    reference: string | undefined,
    message: string,
    signal?: AbortSignal,
  ): Promise<ImageId>;
}

export type LoadEvent =
  | { readonly kind: "progress"; readonly layer: DiffId; readonly done: number; readonly total: number }
  | {
      readonly kind: "loaded";
      readonly id: ImageId;
      readonly reference: string | undefined;
      /** The image that had the name until now. */
      readonly displaced?: ImageId;
    };

export interface ImageRoots {
  /** Digests that must survive collection: configs, manifests and layers of all records. */
  roots(): Iterable<Digest>;
}
