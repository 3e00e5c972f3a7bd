import type { ChainId, DiffId, Digest, ImageId } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";

/**
 * Images: a config (whose digest is the image id), an ordered stack of unpacked layers, and the names that point at it.
 * An image record exists only when all its layers are unpacked; removing the last name and id removes record, layers that
 * no other image or container uses, and blobs.
 */
export interface Image {
  readonly id: ImageId;
  readonly config: ImageConfig;
  /** Manifest that brought it, if one did; the blob is kept in content. */
  readonly manifest: Descriptor | undefined;
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

/** The records. Look-ups are synchronous: they are one indexed SQLite read. */
export interface ImageStore {
  list(): readonly Image[];
  get(id: ImageId): Image | undefined;
  /**
   * Finds by what a person types: name, name:tag, name@digest, full id, or a unique id prefix.
   * Throws not-found "No such image: <ref>" (with ":latest" added as Docker does) or invalid-argument for an ambiguous prefix.
   */
  resolve(reference: string): Image;
  /** Adds a name; moves it when it pointed elsewhere (returns the image that lost it, if any). */
  tag(id: ImageId, reference: string): ImageId | undefined;
  /** Takes a name or digest reference away; returns the id it named. */
  untag(reference: string): ImageId;
  /** Records an image whose layers are all unpacked and whose config blob is in content. */
  add(record: NewImage): Image;
  /** Removes record and every layer and blob nothing else reaches; returns the chain ids deleted, top first. */
  delete(id: ImageId): Promise<readonly ChainId[]>;
}

export interface NewImage {
  readonly id: ImageId;
  readonly manifest?: Descriptor;
  readonly parent?: ImageId;
  /** References to add: "name:tag" or "name@digest". */
  readonly references: readonly string[];
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
  load(tar: ReadableStream<Uint8Array>, signal?: AbortSignal): AsyncIterable<LoadEvent>;
  /** A tar holding both layouts (manifest.json and index.json), as current Docker writes it. */
  save(references: readonly string[]): ReadableStream<Uint8Array>;
  /** A root file system tar becomes a one-layer image. */
  import(
    tar: ReadableStream<Uint8Array>,
    config: ImageConfig,
    reference: string | undefined,
    message: string,
  ): Promise<ImageId>;
}

export type LoadEvent =
  | { readonly kind: "progress"; readonly layer: DiffId; readonly done: number; readonly total: number }
  | { readonly kind: "loaded"; readonly id: ImageId; readonly reference: string | undefined };

export interface ImageRoots {
  /** Digests that must survive collection: configs, manifests and layers of all records. */
  roots(): Iterable<Digest>;
}
