import { invalid, isCode, TugError } from "../../base/lib/errors.ts";
import type { DiffId, ImageId } from "../../base/lib/ids.ts";
import { shortId } from "../../base/lib/ids.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import {
  familiarName,
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { isIndexType, isManifestType } from "../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type {
  LayerEvent,
  RemoteOptions,
  ResolvedImage,
  Trial,
} from "../../core/distribution/distribution.ts";
import type { Image, NewIndex } from "../../core/image/image.ts";
import { attestationSubject, indexBlobs, readIndexTree } from "../../core/image/index-tree.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { explained } from "./explain.ts";
import { platformOption } from "./platform-option.ts";
import { ProgressQueue, paced } from "./progress.ts";

export interface PullOptions {
  readonly platform: string | undefined;
  readonly auth: AuthConfig | undefined;
  readonly allTags: boolean;
  /** Tell of every endpoint that is tried or passed over. */
  readonly explain?: boolean;
}

/** Pulls an image, or with `allTags` every tag of a repository, telling its progress in dockerd's words. */
export async function* pullImage(
  deps: ImageServiceDeps,
  text: string,
  options: PullOptions,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const named = parseReference(text);
  const platform = platformOption(deps, options.platform) ?? deps.platform;
  const remote: RemoteOptions = { auth: options.auth, platform, signal };
  if (!options.allTags) {
    const ref = withDefaultTag(named);
    return yield finished(deps, yield* pullOne(deps, ref, remote, options.explain), ref);
  }
  if (named.tag !== undefined || named.digest !== undefined) {
    throw invalid("tag can't be used with --all-tags/-a");
  }
  let all: Pulled | undefined;
  for (const tag of await deps.registry.listTags(named, remote)) {
    const { image, changed } = yield* pullOne(deps, { ...named, tag }, remote, options.explain);
    all = { image, changed: changed || (all?.changed ?? false) };
  }
  if (all) yield finished(deps, all, named);
}

interface Pulled {
  readonly image: Image;
  readonly changed: boolean;
}

/** One event and one last line for what was asked, be it a tag or all of them. */
function finished(deps: ImageServiceDeps, { image, changed }: Pulled, ref: Reference): ProgressMessage {
  publishImage(deps, "pull", image, familiarName(ref), familiarString(ref));
  const outcome = changed ? "Downloaded newer image" : "Image is up to date";
  return { status: `Status: ${outcome} for ${familiarString(ref)}` };
}

/** Whether a layer came whole and yet cannot be unpacked: no other try will make it better. */
interface Verdict {
  hopeless: boolean;
}

/** Returns the image, and whether the name meant another one before. What came of an image that is none is not kept. */
async function* pullOne(
  deps: ImageServiceDeps,
  ref: Reference,
  options: RemoteOptions,
  explain = false,
): AsyncGenerator<ProgressMessage, Pulled> {
  const verdict: Verdict = { hopeless: false };
  try {
    return yield* pullLeased(deps, ref, options, explain, verdict);
  } catch (error) {
    if (verdict.hopeless) await deps.collect();
    throw error;
  }
}

async function* pullLeased(
  deps: ImageServiceDeps,
  ref: Reference,
  options: RemoteOptions,
  explain: boolean,
  verdict: Verdict,
): AsyncGenerator<ProgressMessage, Pulled> {
  using lease = deps.content.lease();
  const queue = new ProgressQueue();
  const onTrial = (trial: Trial) => {
    for (const message of explained(trial)) queue.push(message);
  };
  const remote = explain ? { ...options, onTrial } : options;
  const resolving = deps.registry.resolve(ref, { ...remote, lease });
  if (explain) yield* queue.drain(resolving.then(() => undefined));
  const resolved = await resolving;
  for (const { digest } of [resolved.target, resolved.manifest, resolved.config, ...resolved.layers]) {
    lease.add(digest);
  }
  yield { status: `Pulling from ${ref.path}`, id: ref.digest ?? ref.tag ?? "" };
  const config = await deps.fetcher.config(ref, resolved, remote);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== resolved.layers.length) {
    throw new TugError("data-loss", "layers from manifest don't match image configuration");
  }
  const fetching = fetchLayers(deps, ref, resolved, diffIds, remote, queue, verdict);
  yield* queue.drain(fetching);
  const index = await keptIndex(deps, ref, resolved, { ...remote, lease });
  const name = familiarString(ref);
  const id = resolved.config.digest as string as ImageId;
  const current = upToDate(deps, name, id, resolved);
  const image = await deps.locks.run(`image ${id}`, async () =>
    deps.images.add({
      id,
      manifest: resolved.manifest,
      ...(index ? { index } : {}),
      references: [
        ...(ref.tag === undefined || ref.digest !== undefined ? [] : [name]),
        `${familiarName(ref)}@${resolved.target.digest}`,
      ],
    }),
  );
  yield { status: `Digest: ${resolved.target.digest}` };
  return { image, changed: !current };
}

/** The name means this image already, or the index that it is a platform of. */
function upToDate(deps: ImageServiceDeps, name: string, id: ImageId, resolved: ResolvedImage): boolean {
  if (!deps.images.get(id)) return false;
  try {
    const { image, target } = deps.images.find(name);
    return image.id === id || target?.digest === resolved.target.digest;
  } catch (error) {
    if (isCode(error, "not-found")) return false;
    throw error;
  }
}

/** The index that the name was given to, with the attestations of the platform that was pulled; undefined for a manifest. */
async function keptIndex(
  deps: ImageServiceDeps,
  ref: Reference,
  resolved: ResolvedImage,
  remote: RemoteOptions,
): Promise<NewIndex | undefined> {
  const { target, manifest } = resolved;
  if (!isIndexType(target.mediaType)) return undefined;
  const tree = await readIndexTree(deps.content, target);
  for (const inner of tree.inner) remote.lease?.add(inner.digest);
  const attestations = tree.manifests.filter(
    (entry) => isManifestType(entry.mediaType) && attestationSubject(entry) === manifest.digest,
  );
  for (const entry of attestations.slice(0, maxAttestations)) await fetchManifest(deps, ref, entry, remote);
  return { descriptor: target, manifests: tree.manifests, blobs: await indexBlobs(deps.content, tree) };
}

/** BuildKit makes one manifest for all attestations of a platform; an index that lists hundreds is no honest one. */
const maxAttestations = 16;

/** A manifest and everything it is made of, without unpacking it. What the registry lost itself is left out. */
async function fetchManifest(
  deps: ImageServiceDeps,
  ref: Reference,
  entry: Descriptor,
  remote: RemoteOptions,
): Promise<void> {
  try {
    remote.lease?.add(entry.digest);
    await deps.registry.document({ ...ref, tag: undefined, digest: entry.digest }, remote);
    const { config, layers } = parseManifest(await deps.content.read(entry.digest, manifestLimit));
    for (const blob of [config, ...layers]) {
      remote.lease?.add(blob.digest);
      if (!deps.content.stat(blob.digest)) await deps.registry.fetch(ref, blob, remote);
    }
  } catch (error) {
    if (!isCode(error, "not-found")) throw error;
  }
}

/** Layers come in parallel and are unpacked in their order, each as soon as it and those below are there. */
async function fetchLayers(
  deps: ImageServiceDeps,
  ref: Reference,
  image: ResolvedImage,
  diffIds: readonly DiffId[],
  remote: RemoteOptions,
  queue: ProgressQueue,
  verdict: Verdict,
): Promise<void> {
  const chain = chainIds(diffIds);
  const present = (index: number) => {
    const name = chain[index];
    const layer = image.layers[index];
    return (
      name && layer && deps.snapshots.stat(name)?.kind === "committed" && deps.content.stat(layer.digest)
    );
  };
  let first = 0;
  while (first < chain.length && present(first)) first++;
  const show = (layer: Descriptor, status: string, detail: ProgressMessage["progressDetail"] = {}) =>
    queue.push({ status, progressDetail: detail, id: shortId(layer.digest) });
  // Of an image that is here dockerd says nothing of layers.
  const known = first === chain.length && deps.images.get(image.config.digest as string as ImageId);
  if (!known) {
    image.layers.forEach((layer, index) => {
      show(layer, index < first ? "Already exists" : "Pulling fs layer");
    });
  }
  const needed = image.layers.slice(first);
  const meters = new Map(
    needed.map((layer) => [
      layer.digest,
      paced((current, total) => show(layer, "Downloading", { current, total })),
    ]),
  );
  const arrivals = deps.fetcher.layers(ref, needed, {
    ...remote,
    onLayer: (layer, event) => tell(layer, event, show, meters.get(layer.digest)),
  });
  /**
   * Also those that are there: unpacking one again is a no-op that keeps it from being collected until the image's record names it,
   * which a slow download above it could outlast.
   */
  const unpackUpTo = async (last: number): Promise<void> => {
    for (let index = 0; index <= last; index++) {
      const descriptor = image.layers[index];
      const diffId = diffIds[index];
      const name = chain[index];
      if (!descriptor || diffId === undefined || name === undefined) continue;
      const onProgress = paced((current, total) => show(descriptor, "Extracting", { current, total }));
      // Two pulls that share a layer unpack it once.
      await deps.locks
        .run(`layer ${name}`, () =>
          deps.unpacker.unpack({ descriptor, diffId }, chain[index - 1], {
            ...(remote.signal ? { signal: remote.signal } : {}),
            onProgress,
          }),
        )
        .catch((error: unknown) => {
          verdict.hopeless ||= isCode(error, "data-loss");
          throw error;
        });
    }
  };
  await unpackUpTo(first - 1);
  for (const [offset, layer] of needed.entries()) {
    await arrivals[offset];
    const diffId = diffIds[first + offset];
    const name = chain[first + offset];
    // Unpacked already, from another blob: this one would be recorded for it unseen.
    if (diffId && name && deps.snapshots.stat(name))
      await deps.unpacker.verify({ descriptor: layer, diffId }, remote.signal);
    await unpackUpTo(first + offset);
    show(layer, "Pull complete");
  }
}

function tell(
  layer: Descriptor,
  event: LayerEvent,
  show: (layer: Descriptor, status: string) => void,
  meter: ((current: number, total: number) => void) | undefined,
): void {
  switch (event.kind) {
    case "waiting":
      show(layer, "Waiting");
      break;
    case "downloading":
      meter?.(event.done, event.total);
      break;
    case "retrying":
      show(layer, `Retrying in ${event.seconds} second${event.seconds === 1 ? "" : "s"}`);
      break;
    case "complete":
      if (!event.already) show(layer, "Verifying Checksum");
      show(layer, "Download complete");
  }
}
