import {
  CompressionError,
  decompress,
  detectCompression,
  magicLength,
} from "../../../base/lib/compression/compression.ts";
import { type ImageId, randomId } from "../../../base/lib/ids.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import type { ContentStore } from "../../content/content.ts";
import { createImage, layerDescriptor, withLayer } from "../create.ts";
import type { ImageStore } from "../image.ts";
import type { ProcessUnpacker } from "../unpack/unpacker.ts";
import { archiveError } from "./archive-files.ts";

export interface ImportDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly unpacker: Pick<ProcessUnpacker, "unpackUnknown">;
}

/** A root file system tar, plain or compressed, as an image of one layer whose blob is what came in. */
export async function importArchive(
  deps: ImportDeps,
  tar: AsyncIterable<Uint8Array>,
  config: ImageConfig,
  reference: string | undefined,
  message: string,
  signal?: AbortSignal,
): Promise<ImageId> {
  using lease = deps.content.lease();
  const descriptor = await ingestLayer(deps.content, tar);
  lease.add(descriptor.digest);
  const { diffId } = await deps.unpacker.unpackUnknown(descriptor, signal ? { signal } : {});
  const entry = {
    ...(config.created === undefined ? {} : { created: config.created }),
    comment: message,
  };
  const image = await createImage(deps, {
    config: withLayer(config, diffId, entry),
    layers: [{ descriptor, diffId }],
    references: reference === undefined ? [] : [reference],
  });
  return image.id;
}

/** Stores a layer's bytes as they come; bzip2 and xz have no media type and are stored plain. */
async function ingestLayer(content: ContentStore, tar: AsyncIterable<Uint8Array>): Promise<Descriptor> {
  const head: Uint8Array[] = [];
  let length = 0;
  const chunks = tar[Symbol.asyncIterator]();
  while (length < magicLength) {
    const next = await chunks.next();
    if (next.done) break;
    head.push(next.value);
    length += next.value.length;
  }
  const start = Buffer.concat(head);
  const whole = async function* () {
    yield start;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  };
  const compression = detectCompression(start);
  const kept = compression === "gzip" || compression === "zstd" ? compression : "none";
  const source = compression === kept ? whole() : decompress(whole());
  await using ingest = await content.ingest(`import-${randomId()}`);
  try {
    for await (const chunk of source) await ingest.write(chunk);
    return layerDescriptor(await ingest.commit(), kept);
  } catch (error) {
    await ingest.abort();
    throw error instanceof CompressionError ? archiveError(error) : error;
  } finally {
    await chunks.return?.();
  }
}
