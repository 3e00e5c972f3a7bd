import { constants, createGzip, createZstdCompress } from "node:zlib";
import { decompress } from "../../base/lib/compression/compression.ts";
import { throughStream } from "../../base/lib/compression/through-stream.ts";
import { type DiffId, randomId } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { Digester } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { ContentStore, Lease } from "../../core/content/content.ts";
import type { LayerCompression } from "./format.ts";
import { clamped, rewriteTar } from "./rewrite-tar.ts";

const remembered = 1000;

/** The plain bytes of a layer blob. */
async function* layerTar(
  content: ContentStore,
  blob: Pick<Descriptor, "digest">,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* decompress(content.stream(blob.digest));
}

/** Other forms of layer blobs: in another compression, with other times. What was made once is remembered for as long as it is in content. */
export class LayerForms {
  readonly #content: ContentStore;
  readonly #made = new Map<string, { readonly descriptor: Descriptor; readonly diffId: DiffId }>();

  constructor(deps: { readonly content: ContentStore }) {
    this.#content = deps.content;
  }

  /** The same layer, compressed as asked. */
  async compressed(
    blob: Descriptor,
    form: { readonly compression: LayerCompression; readonly level: number | undefined },
    lease: Lease,
    signal: AbortSignal,
  ): Promise<Descriptor> {
    if (form.level === undefined && compressionOf(blob.mediaType) === form.compression) return blob;
    const key = JSON.stringify([blob.digest, form.compression, form.level ?? ""]);
    const { descriptor } = await this.#make(key, lease, signal, () => ({
      tar: layerTar(this.#content, blob),
      ...form,
    }));
    return descriptor;
  }

  /** The layer with no file younger than `epoch` (seconds), gzip'd. */
  async clamped(
    blob: Descriptor,
    epoch: number,
    lease: Lease,
    signal: AbortSignal,
  ): Promise<{ readonly descriptor: Descriptor; readonly diffId: DiffId }> {
    return await this.#make(JSON.stringify([blob.digest, epoch]), lease, signal, () => ({
      tar: rewriteTar(layerTar(this.#content, blob), (entry) => clamped(entry, epoch)),
      compression: "gzip",
      level: undefined,
    }));
  }

  async #make(
    key: string,
    lease: Lease,
    signal: AbortSignal,
    how: () => {
      readonly tar: AsyncIterable<Uint8Array>;
      readonly compression: LayerCompression;
      readonly level: number | undefined;
    },
  ): Promise<{ readonly descriptor: Descriptor; readonly diffId: DiffId }> {
    const known = this.#made.get(key);
    if (known) {
      lease.add(known.descriptor.digest);
      if (this.#content.stat(known.descriptor.digest)) return known;
    }
    const { tar, compression, level } = how();
    const digester = new Digester();
    const hashed = async function* () {
      for await (const chunk of tar) {
        signal.throwIfAborted();
        digester.update(chunk);
        yield chunk;
      }
    };
    await using ingest = await this.#content.ingest(`layer-form-${randomId()}`, undefined, signal);
    try {
      for await (const chunk of encoded(hashed(), compression, level)) await ingest.write(chunk);
      const { digest, size } = await ingest.commit();
      lease.add(digest);
      const mediaType = layerTypes.oci[compression];
      const made = {
        descriptor: { mediaType, digest, size },
        diffId: digester.digest() as string as DiffId,
      };
      this.#made.set(key, made);
      const [oldest] = this.#made.keys();
      if (this.#made.size > remembered && oldest !== undefined) this.#made.delete(oldest);
      return made;
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }
}

/** The same bytes for the same input: no name and no time goes along. */
function encoded(
  tar: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
  level: number | undefined,
): AsyncIterable<Uint8Array> {
  if (compression === "uncompressed") return tar;
  if (compression === "gzip") return throughStream(tar, createGzip({ level: Math.min(level ?? 6, 9) }));
  return throughStream(
    tar,
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level ?? 3 } }),
  );
}

const layerTypes = {
  oci: {
    gzip: mediaTypes.ociLayerGzip,
    zstd: mediaTypes.ociLayerZstd,
    uncompressed: mediaTypes.ociLayer,
  },
  docker: {
    gzip: mediaTypes.dockerLayerGzip,
    // Docker's own types have none for it; BuildKit's name.
    zstd: `${mediaTypes.dockerLayer}.zstd`,
    uncompressed: mediaTypes.dockerLayer,
  },
} as const;

/** Undefined for layers that are none of ours to name (foreign ones). */
function compressionOf(mediaType: string): LayerCompression | undefined {
  for (const types of [layerTypes.oci, layerTypes.docker])
    for (const [name, type] of Object.entries(types)) if (type === mediaType) return name as LayerCompression;
  return undefined;
}

/** A layer's descriptor with the media type of the one family or the other. */
export function layerTyped({ digest, size, mediaType }: Descriptor, oci: boolean): Descriptor {
  const compression = compressionOf(mediaType);
  if (compression === undefined) return { mediaType, digest, size };
  return { mediaType: layerTypes[oci ? "oci" : "docker"][compression], digest, size };
}
