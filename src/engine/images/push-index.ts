import { notFound, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";
import { parseReference, type Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { manifestLimit, parseImageDocument, parseManifest } from "../../base/spec/oci/parse.ts";
import type { RemoteOptions } from "../../core/distribution/distribution.ts";
import type { Image } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";

/** dockerd's --max-concurrent-uploads. */
const parallelUploads = 5;

export interface DocumentPush {
  /** Where to; its tag is given to the outermost document alone. */
  readonly ref: Reference;
  /** Repositories that have what lacks here: those the image was pulled from. */
  readonly sources: readonly Reference[];
  /** Repositories of other images here that hold a layer of this one, to mount it from. */
  readonly mounts?: ReadonlyMap<Digest, readonly Reference[]>;
  readonly remote: RemoteOptions;
  readonly show: (
    blob: Descriptor,
    status: string,
    progress?: { readonly current: number; readonly total: number },
  ) => void;
}

/** Repositories that an image's digests tell it was pulled from. */
export function sourcesOf(images: readonly Image[]): readonly Reference[] {
  const known = new Map<string, Reference>();
  for (const digest of images.flatMap((image) => image.digests)) {
    const { domain, path } = parseReference(digest);
    known.set(`${domain}/${path}`, { domain, path, tag: undefined, digest: undefined });
  }
  return [...known.values()];
}

/** For each blob of the images that share layers with `image`, the repositories of `domain` that they were pulled from. */
export async function layerSources(
  deps: Pick<ImageServiceDeps, "images" | "content">,
  image: Image,
  domain: string,
): Promise<ReadonlyMap<Digest, readonly Reference[]>> {
  const found = new Map<Digest, readonly Reference[]>();
  for (const other of deps.images.list()) {
    if (other.layers[0] === undefined || other.layers[0] !== image.layers[0] || !other.manifest) continue;
    const sources = sourcesOf([other]).filter((source) => source.domain === domain);
    if (sources.length === 0 || !deps.content.stat(other.manifest.digest)) continue;
    const { layers } = parseManifest(await deps.content.read(other.manifest.digest, manifestLimit));
    for (const { digest } of layers) found.set(digest, [...(found.get(digest) ?? []), ...sources]);
  }
  return found;
}

/**
 * Puts a manifest or an index with all it lists into a repository. What of it was never here (other platforms of an index)
 * is taken from where the image was pulled, so that the index keeps its digest. Throws not-found when nobody has it.
 */
export async function pushDocument(
  deps: ImageServiceDeps,
  target: Descriptor,
  push: DocumentPush,
): Promise<Descriptor> {
  using lease = deps.content.lease();
  const bytes = await readDocument(deps, target, { ...push, remote: { ...push.remote, lease } });
  const document = parseImageDocument(bytes, target.mediaType);
  const below: DocumentPush = { ...push, ref: { ...push.ref, tag: undefined } };
  if (document.kind === "index") {
    for (const each of document.index.manifests) await pushDocument(deps, each, below);
  } else if (document.kind === "manifest") {
    const { config } = document.manifest;
    // dockerd tells of the topmost layer first.
    const layers = document.manifest.layers.toReversed();
    for (const layer of layers) push.show(layer, "Preparing");
    await pushBlobs(deps, [...new Map(layers.map((each) => [each.digest, each])).values()], push);
    await pushBlobs(deps, [config], { ...push, show: () => undefined });
  }
  return await deps.pusher.pushManifest(push.ref, bytes, document.mediaType || target.mediaType, push.remote);
}

async function readDocument(
  deps: ImageServiceDeps,
  target: Descriptor,
  push: DocumentPush,
): Promise<Uint8Array> {
  push.remote.lease?.add(target.digest);
  if (!deps.content.stat(target.digest)) {
    await fromSource(push, target, (source, remote) =>
      deps.registry.document({ ...source, digest: target.digest }, remote),
    );
  }
  return await deps.content.read(target.digest, manifestLimit);
}

async function pushBlobs(
  deps: ImageServiceDeps,
  blobs: readonly Descriptor[],
  push: DocumentPush,
): Promise<void> {
  const slots = new Semaphore(deps.parallelUploads ?? parallelUploads);
  const failed = new AbortController();
  const signal = push.remote.signal ? AbortSignal.any([push.remote.signal, failed.signal]) : failed.signal;
  const outcomes = await Promise.allSettled(
    blobs.map(async (blob) => {
      using _slot = await slots.acquire(signal);
      try {
        await pushBlob(deps, blob, { ...push, remote: { ...push.remote, signal } });
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    }),
  );
  // What went wrong first ended the others.
  if (failed.signal.aborted) throw failed.signal.reason;
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function pushBlob(deps: ImageServiceDeps, blob: Descriptor, push: DocumentPush): Promise<void> {
  const { ref, sources, remote, show } = push;
  const known = [...sources, ...(push.mounts?.get(blob.digest) ?? [])];
  const mountFrom = known.filter((source) => source.domain === ref.domain && source.path !== ref.path);
  const onProgress = (current: number, total: number) => show(blob, "Pushing", { current, total });
  using lease = deps.content.lease([blob.digest]);
  let outcome: "exists" | "mounted" | "uploaded" | undefined;
  if (!deps.content.stat(blob.digest)) {
    // The registry may have it, or take it from a repository of its own; else it is brought here first.
    outcome = await deps.pusher.offer(ref, blob, { ...remote, mountFrom });
    const shown = {
      onProgress: (current: number, total: number) => show(blob, "Downloading", { current, total }),
    };
    if (!outcome) {
      await fromSource(push, blob, (source, options) =>
        deps.registry.fetch(source, blob, { ...options, ...shown, lease }),
      );
    }
  }
  outcome ??= await deps.pusher.push(ref, blob, { ...remote, onProgress, mountFrom });
  const mounted = `Mounted from ${mountFrom[0]?.path ?? ref.path}`;
  show(blob, { exists: "Layer already exists", mounted, uploaded: "Pushed" }[outcome]);
}

/** Asks one source after another. Credentials belong to the registry that is pushed to and go nowhere else. */
async function fromSource(
  push: DocumentPush,
  what: Descriptor,
  fetch: (source: Reference, remote: RemoteOptions) => Promise<unknown>,
): Promise<void> {
  let failure: unknown;
  for (const source of push.sources) {
    const auth = source.domain === push.ref.domain ? push.remote.auth : undefined;
    try {
      await fetch(source, { ...push.remote, auth });
      return;
    } catch (error) {
      push.remote.signal?.throwIfAborted();
      if (!(error instanceof TugError) || error.code === "resource-exhausted") throw error;
      failure = error;
    }
  }
  throw notFound(`content digest ${what.digest}: not found`, failure);
}
