import { invalid, TugError } from "../../base/lib/errors.ts";
import type { DiffId, ImageId } from "../../base/lib/ids.ts";
import { shortId } from "../../base/lib/ids.ts";
import {
  familiarName,
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { parsePlatform } from "../../base/spec/oci/platform.ts";
import type {
  LayerEvent,
  RegistryAuth,
  RemoteOptions,
  ResolvedImage,
} from "../../core/distribution/distribution.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { type ProgressMessage, ProgressQueue, paced } from "./progress.ts";

export interface PullOptions {
  readonly platform: string | undefined;
  readonly auth: RegistryAuth | undefined;
  readonly allTags: boolean;
}

/** Pulls an image, or with `allTags` every tag of a repository, telling its progress in dockerd's words. */
export async function* pullImage(
  deps: ImageServiceDeps,
  text: string,
  options: PullOptions,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const named = parseReference(text);
  const platform =
    options.platform === undefined || options.platform === ""
      ? deps.platform
      : parsePlatform(options.platform, deps.platform);
  const remote: RemoteOptions = { auth: options.auth, platform, signal };
  if (!options.allTags) return yield* pullOne(deps, withDefaultTag(named), remote);
  if (named.tag !== undefined || named.digest !== undefined) {
    throw invalid("tag can't be used with --all-tags/-a");
  }
  for (const tag of await deps.registry.listTags(named, remote))
    yield* pullOne(deps, { ...named, tag }, remote);
}

async function* pullOne(
  deps: ImageServiceDeps,
  ref: Reference,
  remote: RemoteOptions,
): AsyncGenerator<ProgressMessage> {
  const resolved = await deps.registry.resolve(ref, remote);
  using _lease = deps.content.lease([
    resolved.target.digest,
    resolved.manifest.digest,
    resolved.config.digest,
    ...resolved.layers.map((layer) => layer.digest),
  ]);
  yield { status: `Pulling from ${ref.path}`, id: ref.digest ?? ref.tag ?? "" };
  const config = await deps.fetcher.config(ref, resolved, remote);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== resolved.layers.length) {
    throw new TugError("data-loss", "layers from manifest don't match image configuration");
  }
  const queue = new ProgressQueue();
  yield* queue.drain(fetchLayers(deps, ref, resolved, diffIds, remote, queue));
  const name = familiarString(ref);
  const id = resolved.config.digest as string as ImageId;
  const before = currentId(deps, name);
  const image = await deps.locks.run(`image ${id}`, async () =>
    deps.images.add({
      id,
      manifest: resolved.manifest,
      references: [
        ...(ref.tag === undefined || ref.digest !== undefined ? [] : [name]),
        `${familiarName(ref)}@${resolved.target.digest}`,
      ],
    }),
  );
  publishImage(deps, "pull", image, familiarName(ref), name);
  yield { status: `Digest: ${resolved.target.digest}` };
  yield {
    status: `Status: ${before === id ? "Image is up to date" : "Downloaded newer image"} for ${name}`,
  };
}

function currentId(deps: ImageServiceDeps, name: string): ImageId | undefined {
  return deps.images.list().find((image) => image.tags.includes(name) || image.digests.includes(name))?.id;
}

/** Layers come in parallel and are unpacked in their order, each as soon as it and those below are there. */
async function fetchLayers(
  deps: ImageServiceDeps,
  ref: Reference,
  image: ResolvedImage,
  diffIds: readonly DiffId[],
  remote: RemoteOptions,
  queue: ProgressQueue,
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
  image.layers.forEach((layer, index) => {
    show(layer, index < first ? "Already exists" : "Pulling fs layer");
  });
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
      await deps.locks.run(`layer ${name}`, () =>
        deps.unpacker.unpack({ descriptor, diffId }, chain[index - 1], {
          ...(remote.signal ? { signal: remote.signal } : {}),
          onProgress,
        }),
      );
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
