import { conflict, invalid, TugError } from "../../base/lib/errors.ts";
import { type ChainId, type ImageId, randomId } from "../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import type { ContainerConfig } from "../../base/spec/docker/api.gen.ts";
import { applyConfigChanges } from "../../base/spec/docker/config-changes.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import type { ImageConfig, ImageRunConfig } from "../../base/spec/oci/image.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type { BlobInfo, ContentStore, Lease } from "../../core/content/content.ts";
import type { FilesClient } from "../../core/files/client.ts";
import { createImage, layerDescriptor, withLayer } from "../../core/image/create.ts";
import type { Image, ImageStore, LayerSource } from "../../core/image/image.ts";
import type { LayerMaker } from "../../core/image/unpack/unpacker.ts";
import type { ContainerContext } from "../containers/context.ts";
import { mergeImageConfig } from "../containers/create/merge.ts";
import { emitContainer } from "../containers/events.ts";
import type { ContainerRecord } from "../containers/record.ts";
import { engineMade } from "./changes.ts";

export interface CommitDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly unpacker: LayerMaker;
  /** See `ImageServiceDeps.complete`. */
  readonly complete: (id: ImageId) => Promise<Image>;
}

export interface CommitOptions {
  readonly repo: string;
  readonly tag: string;
  readonly comment: string;
  readonly author: string;
  readonly pause: boolean;
  readonly changes: readonly string[];
  readonly config: ContainerConfig | undefined;
}

/** `docker commit`: the writable layer as a new layer on the container's image, frozen meanwhile unless told otherwise. */
export async function commitContainer(
  context: ContainerContext,
  files: FilesClient,
  deps: CommitDeps,
  record: ContainerRecord,
  options: CommitOptions,
): Promise<{ readonly Id: string }> {
  // Everything that can be wrong with the request is, before the container is touched.
  const reference = options.repo === "" ? undefined : nameOf(options.repo, options.tag);
  const runConfig = committedConfig(record, options);
  const { imageId } = record.definition;
  const base = imageId === "" ? undefined : context.images.get(imageId);
  if (imageId !== "" && !base) throw conflict(`image ${imageId} of container ${record.id} is gone`);
  using lease = deps.content.lease();
  const below = base ? await layersOf(deps, base) : [];
  for (const { descriptor } of below) lease.add(descriptor.digest);
  const layer = await writeLayer(
    { context, files, deps, record, pause: options.pause, lease },
    base?.chainId,
  );
  const created = formatRfc3339Nano(BigInt(Math.trunc(context.clock.now())) * 1_000_000n);
  const author = options.author ? { author: options.author } : {};
  const comment = options.comment ? { comment: options.comment } : {};
  const { author: _author, comment: _comment, ...inherited } = base?.config ?? emptyConfig(record);
  const image = await createImage(deps, {
    config: withLayer({ ...inherited, created, ...author, ...comment, config: runConfig }, layer?.diffId, {
      created,
      created_by: (record.definition.config.Cmd ?? []).join(" "),
      ...author,
      ...comment,
    }),
    layers: layer ? [...below, layer] : below,
    references: reference === undefined ? [] : [reference],
    ...(base ? { parent: base.id } : {}),
  });
  announce(context, record, image, reference, options.comment);
  return { Id: image.id };
}

function announce(
  context: ContainerContext,
  record: ContainerRecord,
  image: Image,
  reference: string | undefined,
  comment: string,
): void {
  if (reference !== undefined) {
    context.events.publish({
      type: "image",
      action: "tag",
      id: image.id,
      attributes: { ...image.config.config?.Labels, name: reference },
    });
  }
  emitContainer(context, record, "commit", { comment, imageID: image.id, imageRef: reference ?? "" });
}

function nameOf(repo: string, tag: string): string {
  const ref = parseReference(repo);
  if (ref.digest !== undefined) throw invalid("cannot commit to digest reference");
  return familiarString(withDefaultTag(tag === "" ? ref : parseReference(`${repo}:${tag}`)));
}

/** Runs `work` with the container frozen, when it runs and that is wanted. Nothing else may happen to it meanwhile. */
async function frozen<T>(
  context: ContainerContext,
  record: ContainerRecord,
  pause: boolean,
  work: () => Promise<T>,
): Promise<T> {
  return await context.locks.run(record.id, async () => {
    const now = context.store.resolve(record.id);
    if (now.state.status === "dead") throw conflict(`You cannot commit container ${now.id} which is Dead`);
    if (now.state.status === "removing") {
      throw conflict(`You cannot commit container ${now.id} which is being removed`);
    }
    if (!pause || now.state.status !== "running") return await work();
    await context.runtime.pause(now.id);
    emitContainer(context, now, "pause");
    try {
      return await work();
    } finally {
      // The record keeps saying "running": a daemon that dies here leaves a frozen task that the next one resumes.
      await context.runtime.resume(now.id);
      emitContainer(context, now, "unpause");
    }
  });
}

interface LayerWork {
  readonly context: ContainerContext;
  readonly files: FilesClient;
  readonly deps: CommitDeps;
  readonly record: ContainerRecord;
  readonly pause: boolean;
  readonly lease: Lease;
}

/** The diffID of an archive without members: two blocks of zeros. */
const nothing = digestOf(new Uint8Array(1024)) as string;

/**
 * The layer as a blob and as a snapshot, in one pass over the files; only that pass is what the container is frozen for.
 * Undefined where nothing was changed: like Docker, the image then has its parent's layers and no empty one.
 */
async function writeLayer(work: LayerWork, parent: ChainId | undefined): Promise<LayerSource | undefined> {
  const { context, files, deps, record, lease } = work;
  await using ingest = await deps.content.ingest(`commit-${randomId()}`);
  let blob: BlobInfo | undefined;
  try {
    const made = await deps.unpacker.make(parent, async (target) => {
      const layer = await frozen(context, record, work.pause, () => {
        const layout = context.snapshots.layout(record.id);
        return files.layer(layout, engineMade, target, (chunk) => ingest.write(chunk));
      });
      if (layer.diffId === nothing) return undefined;
      blob = await ingest.commit();
      lease.add(blob.digest);
      return layer;
    });
    if (made && blob) return { descriptor: layerDescriptor(blob, "gzip"), diffId: made.diffId };
    await ingest.abort();
    return undefined;
  } catch (error) {
    await ingest.abort();
    throw error;
  }
}

async function layersOf(deps: CommitDeps, image: Image): Promise<readonly LayerSource[]> {
  if (image.layers.length === 0) return [];
  const { manifest: descriptor } = image.manifest ? image : await deps.complete(image.id);
  if (!descriptor) throw new TugError("internal", `image ${image.id} has no manifest to build on`);
  const manifest = parseManifest(await deps.content.read(descriptor.digest, manifestLimit));
  return image.layers.map((diffId, index) => {
    const descriptor = manifest.layers[index];
    if (!descriptor) throw new TugError("internal", `manifest of image ${image.id} has no layer ${index}`);
    return { descriptor, diffId };
  });
}

/** Members of a container's configuration that are about this one container and not about those made from the image. */
const ownMembers: readonly string[] = [
  "Hostname",
  "Domainname",
  "AttachStdin",
  "AttachStdout",
  "AttachStderr",
  "Tty",
  "OpenStdin",
  "StdinOnce",
  "Image",
  "NetworkDisabled",
  "MacAddress",
  "StopTimeout",
];

/** What runs from the new image: `changes`, over the request's configuration, over the container's. */
function committedConfig(record: ContainerRecord, options: CommitOptions): ImageRunConfig {
  const own = imageConfigOf(record.definition.config);
  const asked = options.config ? imageConfigOf(mergeImageConfig(options.config, own)) : own;
  return applyConfigChanges(asked, options.changes);
}

function imageConfigOf(config: ContainerConfig): ImageRunConfig {
  const kept = Object.entries(config).filter(
    ([name, value]) => !ownMembers.includes(name) && value !== undefined,
  );
  // The members that are left have the same names and shapes in both.
  return Object.fromEntries(kept) as ImageRunConfig;
}

function emptyConfig(record: ContainerRecord): ImageConfig {
  return {
    os: record.definition.platform.os,
    architecture: record.definition.platform.architecture,
    rootfs: { type: "layers", diff_ids: [] },
  };
}
