import { invalid, notFound } from "../../../base/lib/errors.ts";
import { parseDigest } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import type { ContentStore, Lease } from "../../../core/content/content.ts";
import type { BuildSession } from "../../session.ts";
import { cacheConfigType, documentLimit, parseCacheDocument } from "./document.ts";
import type { CacheSource } from "./imported.ts";
import type { FoundCache } from "./sources.ts";

/** `type=local,src=…`: an OCI layout that the client lends; it has read `digest` of the layout's index itself, by `tag`. */
export async function localCache(
  { content }: { readonly content: ContentStore },
  attributes: Readonly<Record<string, string>>,
  options: { readonly session: BuildSession; readonly signal: AbortSignal; readonly lease: Lease },
): Promise<readonly FoundCache[]> {
  const { session, signal, lease } = options;
  const directory = attributes["src"] ?? "";
  if (directory === "") throw invalid("a cache of type local needs a directory: type=local,src=DIR");
  const text = attributes["digest"];
  if (!text) throw notFound(`${directory} has no build cache: its index.json names none`);
  const source: CacheSource = {
    name: directory,
    repository: undefined,
    fetch: async (blob, how) => {
      // BuildKit's clients lend the directory by this name (client/solve.go).
      const stream = await session.blob?.(`local:${directory}`, blob.digest, how.signal);
      if (!stream) throw notFound(`the client does not lend ${directory}`);
      await receive(content, blob, stream, how);
    },
  };
  const manifest = await read(content, source, { digest: parseDigest(text), limit: manifestLimit }, options);
  const { config } = parseManifest(manifest);
  if (config.mediaType !== cacheConfigType)
    throw notFound(`${directory} has no build cache of this builder's`);
  await source.fetch(config, { signal, lease });
  const document = parseCacheDocument(await content.read(config.digest, documentLimit));
  return [{ source, document }];
}

async function read(
  content: ContentStore,
  source: CacheSource,
  { digest, limit }: { readonly digest: Descriptor["digest"]; readonly limit: number },
  options: { readonly signal: AbortSignal; readonly lease: Lease },
): Promise<Uint8Array> {
  options.lease.add(digest);
  // Of a manifest that only its digest is known of, the size is told by nobody.
  if (!content.stat(digest)) await source.fetch({ digest, mediaType: "", size: -1 }, options);
  return await content.read(digest, limit);
}

async function receive(
  content: ContentStore,
  { digest, size }: Descriptor,
  stream: ReadableStream<Uint8Array>,
  options: {
    readonly signal: AbortSignal;
    readonly lease: Lease;
    readonly onProgress?: (done: number, total: number) => void;
  },
): Promise<void> {
  options.lease.add(digest);
  const expected = size < 0 ? { digest } : { digest, size };
  await using ingest = await content.ingest(`local-cache-${digest}`, expected, options.signal);
  if (ingest.offset > 0) await ingest.reset();
  let done = 0;
  for await (const chunk of stream) {
    options.signal.throwIfAborted();
    await ingest.write(chunk);
    done += chunk.length;
    options.onProgress?.(done, Math.max(size, 0));
  }
  await ingest.commit();
}
