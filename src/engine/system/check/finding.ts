import type { Digest } from "../../../base/lib/ids.ts";
import type { SystemCheckFinding } from "../../../base/spec/docker/extensions.ts";
import type { UnreadableRecords } from "../../../base/store/unreadable.ts";
import type { ContentStore } from "../../../core/content/content.ts";
import type { RegistryClient } from "../../../core/distribution/distribution.ts";
import type { SqliteImageStore } from "../../../core/image/store.ts";
import type { ProcessUnpacker } from "../../../core/image/unpack/unpacker.ts";
import type { Snapshotter } from "../../../core/snapshot/snapshotter.ts";
import type { VolumeStore } from "../../../core/volume/volume.ts";
import type { ImageServiceDeps } from "../../images/deps.ts";

/** A finding before it is told: with what would repair it, which returns what it did. */
export interface Finding
  extends Pick<SystemCheckFinding, "Kind" | "Name" | "Problem" | "Consequence" | "Remedy"> {
  readonly repair?: () => Promise<string>;
}

export interface CheckOptions {
  /** Records against each other and sizes only: what a start can afford. */
  readonly quick: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What the check asks of containers; supplied by the containers service. */
export interface CheckedContainers {
  list(): readonly CheckedContainer[];
  /** Ids of those whose record cannot be read. */
  setAside(): Iterable<string>;
  /** Of a running one: what is wrong with its process, mounts or interfaces. */
  problemOf(id: string): Promise<string | undefined>;
}

export interface CheckedContainer {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  /** Snapshotter of its writable layer; another one's are not looked at. */
  readonly driver: string;
  readonly volumes: readonly string[];
}

export interface CheckDeps {
  readonly unreadable: UnreadableRecords;
  readonly databases: readonly { readonly name: string; problems(quick: boolean): readonly string[] }[];
  readonly content: ContentStore;
  readonly images: SqliteImageStore;
  readonly snapshots: Snapshotter;
  readonly unpacker: ProcessUnpacker;
  readonly layerSize: ImageServiceDeps["layerSize"];
  readonly registry: Pick<RegistryClient, "fetch" | "document">;
  readonly containers: CheckedContainers;
  /** Snapshots that running builds have in hand. */
  readonly inBuilds: () => readonly string[];
  readonly volumes: VolumeStore;
  /** Where the local driver keeps its volumes. */
  readonly volumeRoot: string;
}

/** A blob that an image's records name. */
export interface NamedBlob {
  readonly digest: Digest;
  /** undefined: nothing says it. */
  readonly size: number | undefined;
  readonly mediaType: string;
  readonly role: "config" | "manifest" | "index" | "layer";
}
