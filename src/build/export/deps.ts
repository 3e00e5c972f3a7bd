import type { ChainId, DiffId } from "../../base/lib/ids.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { FilesClient } from "../../core/files/client.ts";
import type { Image, Unpacker } from "../../core/image/image.ts";
import type { LayerMaker } from "../../core/image/unpack/unpacker.ts";
import type { BuildSession } from "../session.ts";
import type { ImageExportDeps } from "./image.ts";
import type { TreeMounts } from "./tree-mounts.ts";

/** What outputs are written with. */
export interface ExportDeps extends ImageExportDeps {
  /** Told of each name that an image got. */
  readonly tagged: (image: Image, name: string) => void;
  /** The blob of a layer that is unpacked here: the one that it came as, or one made of its files. */
  readonly layerBlob: (layer: ChainId, diffId: DiffId, signal: AbortSignal) => Promise<Descriptor>;
  /** Steps' layers that are in no image: they need not wait for one. */
  readonly letGo: (layers: readonly ChainId[]) => void;
  readonly unpacker: Unpacker & LayerMaker;
  readonly files: Pick<FilesClient, "layer" | "export">;
  readonly trees: TreeMounts;
  readonly push: ImagePusher;
  readonly host: Platform;
  /** Removes blobs that nothing reaches: of an image that was only sent away. */
  readonly collect: () => Promise<void>;
}

/** Puts documents and what they list, which are in content, into a repository. */
export interface ImagePusher {
  /** Under its digest; the same for what an index lists. `sources`: repositories that have blobs which are not here. */
  document(target: Descriptor, options: PushTarget): Promise<void>;
  /** A manifest or index that is there by its digest, under the reference's tag. */
  name(target: Descriptor, options: PushTarget): Promise<void>;
}

export interface PushTarget {
  readonly ref: Reference;
  readonly insecure: boolean;
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly sources?: readonly Reference[];
  /** Bytes of a blob that were sent. */
  readonly onProgress?: (blob: Descriptor, current: number, total: number) => void;
}
