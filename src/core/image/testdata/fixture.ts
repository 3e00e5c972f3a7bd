import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "bun";
import { systemClock } from "../../../base/lib/clock.ts";
import type { ChainId, DiffId, Digest, ImageId } from "../../../base/lib/ids.ts";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../../base/lib/tar/writer.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { type Database, openDatabase } from "../../../base/store/database.ts";
import { FileContentStore } from "../../content/file-store.ts";
import { openOverlay2 } from "../../snapshot/drivers/overlay2/overlay2.ts";
import { openVfs } from "../../snapshot/drivers/vfs/vfs.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import { TarArchives } from "../archive/archives.ts";
import { createImage, layerDescriptor } from "../create.ts";
import type { Image } from "../image.ts";
import { LayerRecords } from "../layers.ts";
import { SqliteImageStore } from "../store.ts";
import { ProcessUnpacker } from "../unpack/unpacker.ts";

/** A tar from entries with their text. */
export function tarOf(...entries: readonly (readonly [NewTarEntry, string?])[]): Buffer {
  const parts = entries.flatMap(([entry, text]) => {
    const content = Buffer.from(text ?? "");
    return [tarHeader({ size: content.length, ...entry }), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, tarTrailer]);
}

export function streamOfBytes(bytes: Uint8Array, chunk = 60_000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunk));
      at += chunk;
    },
  });
}

/** Real stores of everything images need, in a directory of their own. */
export class ImageFixture implements AsyncDisposable {
  readonly base: string;
  readonly db: Database;
  readonly content: FileContentStore;
  snapshots: Snapshotter;
  layers: LayerRecords;
  images: SqliteImageStore;
  unpacker: ProcessUnpacker;
  archives: TarArchives;
  /** Layers that others than images keep, as a build cache does. */
  keptByOthers: (layer: string) => boolean = () => false;

  private constructor(base: string, parts: ReturnType<typeof partsOf>) {
    this.base = base;
    this.db = parts.db;
    this.content = parts.content;
    this.snapshots = parts.snapshots;
    this.layers = parts.layers;
    this.images = parts.images;
    this.unpacker = parts.unpacker;
    this.archives = parts.archives;
  }

  static async open(driver: "overlay2" | "vfs" = "overlay2"): Promise<ImageFixture> {
    return await ImageFixture.openIn(mkdtempSync(join(tmpdir(), "images-")), driver);
  }

  /** In a directory that may have been used before. */
  static async openIn(base: string, driver: "overlay2" | "vfs" = "overlay2"): Promise<ImageFixture> {
    const db = openDatabase(join(base, "db"), { durable: false });
    const content = new FileContentStore({ root: join(base, "content") });
    const snapshots = await openDriver(base, db, driver);
    const made: ImageFixture = new ImageFixture(
      base,
      partsOf(db, content, snapshots, (layer) => made.keptByOthers(layer)),
    );
    return made;
  }

  /** What a start of the daemon does again. */
  async restart(driver: "overlay2" | "vfs" = "overlay2"): Promise<void> {
    const snapshots = await openDriver(this.base, this.db, driver);
    const parts = partsOf(this.db, this.content, snapshots, (layer) => this.keptByOthers(layer));
    this.snapshots = parts.snapshots;
    this.layers = parts.layers;
    this.images = parts.images;
    this.unpacker = parts.unpacker;
    this.archives = parts.archives;
  }

  /** An image whose layers are these tars, gzipped. */
  async image(
    references: readonly string[],
    ...parts: readonly (Buffer | { readonly architecture: string })[]
  ): Promise<Image> {
    const tars = parts.filter((part) => Buffer.isBuffer(part));
    const architecture = parts.find((part) => "architecture" in part)?.architecture ?? "amd64";
    const layers = [];
    let parent: ChainId | undefined;
    for (const tar of tars) {
      const descriptor = layerDescriptor(await this.content.put(gzipSync(new Uint8Array(tar)), ""), "gzip");
      const layer = { descriptor, diffId: digestOf(tar) as string as DiffId };
      parent = await this.unpacker.unpack(layer, parent, {});
      layers.push(layer);
    }
    const config: ImageConfig = {
      architecture,
      os: "linux",
      config: { Cmd: ["/bin/sh"], Labels: { id: references.join() } },
      rootfs: { type: "layers", diff_ids: [] },
    };
    return await createImage(this, { config, layers, references });
  }

  /** A multi-platform image: an index of these, each of one layer, with an attestation for the first. */
  async multi(
    references: readonly string[],
    tars: Readonly<Record<string, Buffer>>,
  ): Promise<{ readonly index: Descriptor; readonly images: readonly Image[]; readonly attestation: Descriptor }> {
    const made: { image: Image; entry: Descriptor }[] = [];
    for (const [architecture, tar] of Object.entries(tars)) {
      const image = await this.image([], { architecture }, tar);
      if (!image.manifest) throw new Error("no manifest");
      made.push({ image, entry: { ...image.manifest, platform: { os: "linux", architecture } } });
    }
    const attestation = await this.#attestation(made[0]?.entry.digest ?? "");
    const manifests = [...made.map(({ entry }) => entry), attestation.entry];
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
    const index = await this.content.put(Buffer.from(JSON.stringify(document)), mediaTypes.ociIndex);
    const images = made.map(({ image, entry }) =>
      this.images.add({
        id: image.id,
        manifest: entry,
        index: { descriptor: index, manifests, blobs: attestation.blobs },
        references,
      }),
    );
    return { index, images, attestation: attestation.entry };
  }

  async #attestation(subject: string): Promise<{ readonly entry: Descriptor; readonly blobs: readonly Digest[] }> {
    const statement = await this.content.put(
      Buffer.from(JSON.stringify({ predicateType: "https://slsa.dev/provenance/v0.2", subject })),
      "application/vnd.in-toto+json",
    );
    const config = await this.content.put(Buffer.from("{}"), mediaTypes.ociConfig);
    const annotations = { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" };
    const manifest = await this.content.put(
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.ociManifest,
          config,
          layers: [{ ...statement, annotations }],
        }),
      ),
      mediaTypes.ociManifest,
    );
    const entry: Descriptor = {
      ...manifest,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": subject,
      },
    };
    return { entry, blobs: [manifest.digest, config.digest, statement.digest] };
  }

  /** Ids of what is left in the stores. */
  leftovers(): { readonly blobs: number; readonly snapshots: number; readonly images: readonly ImageId[] } {
    return {
      blobs: [...this.content.list()].length,
      snapshots: [...this.snapshots.list()].length,
      images: this.images.list().map((image) => image.id),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.db.close();
    rmSync(this.base, { recursive: true, force: true });
  }
}

async function openDriver(base: string, db: Database, driver: "overlay2" | "vfs"): Promise<Snapshotter> {
  const root = join(base, driver);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const open = driver === "overlay2" ? openOverlay2 : openVfs;
  return await open({ db, root, clock: systemClock, sync: async () => undefined });
}

function partsOf(
  db: Database,
  content: FileContentStore,
  snapshots: Snapshotter,
  keptByOthers: (layer: string) => boolean,
) {
  const clock = systemClock;
  const platform = { os: "linux", architecture: "amd64" };
  const layers = new LayerRecords({ db, clock });
  const images = new SqliteImageStore({ db, content, snapshots, layers, clock, platform, keptByOthers });
  const helperCommand = [process.execPath, join(import.meta.dir, "../../../helper/main.ts")];
  const unpacker = new ProcessUnpacker({ helperCommand, content, snapshots, layers });
  const collect = () => images.collect();
  const archives = new TarArchives({ content, snapshots, layers, images, unpacker, collect });
  return { db, content, snapshots, layers, images, unpacker, archives };
}
