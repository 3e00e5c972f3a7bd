import { createHash } from "node:crypto";
import { invalid } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import type { DiffId } from "../../base/lib/ids.ts";
import type { ContainerConfig } from "../../base/spec/docker/api.gen.ts";
import { applyConfigChanges } from "../../base/spec/docker/config-changes.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { ImageConfig, ImageRunConfig } from "../../base/spec/oci/image.ts";
import { parseManifest, manifestLimit } from "../../base/spec/oci/parse.ts";
import type { ContentStore } from "../../core/content/content.ts";
import { createImage, layerDescriptor, withLayer } from "../../core/image/create.ts";
import type { Image, ImageStore, LayerSource, Unpacker } from "../../core/image/image.ts";
import { diffTar } from "../../core/snapshot/diff.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { mergeImageConfig } from "../containers/create/merge.ts";
import type { ContainerRecord } from "../containers/record.ts";
import { ignoredPaths } from "./changes.ts";

export interface CommitDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly unpacker: Unpacker;
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
  deps: CommitDeps,
  record: ContainerRecord,
  options: CommitOptions,
): Promise<{ readonly Id: string }> {
  const reference = options.repo === "" ? undefined : nameOf(options.repo, options.tag);
  const base = record.definition.imageId === "" ? undefined : context.images.get(record.definition.imageId);
  const runConfig = applyConfigChanges(commitConfig(record, options.config), options.changes);
  using lease = deps.content.lease();
  const layer = await frozen(context, record, options.pause, () => writeLayer(context, deps, record));
  lease.add(layer.descriptor.digest);
  await deps.unpacker.unpack(layer, base?.chainId, {});
  const created = new Date(context.clock.now()).toISOString();
  const config = withLayer(
    {
      ...(base?.config ?? emptyConfig(record)),
      created,
      ...(options.author ? { author: options.author } : {}),
      config: runConfig,
    },
    layer.diffId,
    {
      created,
      created_by: [record.definition.path, ...record.definition.args].join(" "),
      ...(options.author ? { author: options.author } : {}),
      ...(options.comment ? { comment: options.comment } : {}),
    },
  );
  const below = base ? await layersOf(deps, base) : [];
  const image = await createImage(deps, {
    config,
    layers: [...below, layer],
    references: reference === undefined ? [] : [reference],
    ...(base ? { parent: base.id } : {}),
  });
  emitContainer(context, record, "commit", { comment: options.comment, imageID: image.id, imageRef: reference ?? "" });
  return { Id: image.id };
}

function nameOf(repo: string, tag: string): string {
  const ref = parseReference(tag === "" ? repo : `${repo}:${tag}`);
  if (ref.digest !== undefined) throw invalid("cannot commit to digest reference");
  return familiarString(withDefaultTag(ref));
}

/** Runs `work` with the container paused, when it runs and that is wanted. */
async function frozen<T>(
  context: ContainerContext,
  record: ContainerRecord,
  pause: boolean,
  work: () => Promise<T>,
): Promise<T> {
  return await context.locks.run(record.id, async () => {
    const now = context.store.resolve(record.id);
    if (!pause || now.state.status !== "running") return await work();
    await context.runtime.pause(now.id);
    try {
      return await work();
    } finally {
      await context.runtime.resume(now.id);
    }
  });
}

/** The changes as an uncompressed layer blob, whose digest is its diffID. */
async function writeLayer(
  context: ContainerContext,
  deps: CommitDeps,
  record: ContainerRecord,
): Promise<LayerSource> {
  await using ingest = await deps.content.ingest(`commit-${randomId()}`);
  const hash = createHash("sha256");
  try {
    const layout = context.snapshots.layout(record.id);
    for await (const chunk of diffTar(layout, { ignored: ignoredPaths(record) })) {
      hash.update(chunk);
      await ingest.write(chunk);
    }
    const blob = await ingest.commit();
    return {
      descriptor: layerDescriptor(blob, "none"),
      diffId: `sha256:${hash.digest("hex")}` as DiffId,
    };
  } catch (error) {
    await ingest.abort();
    throw error;
  }
}

async function layersOf(deps: CommitDeps, image: Image): Promise<readonly LayerSource[]> {
  if (!image.manifest) throw invalid(`image ${image.id} has no manifest to build on`);
  const manifest = parseManifest(await deps.content.read(image.manifest.digest, manifestLimit));
  return image.layers.map((diffId, index) => {
    const descriptor = manifest.layers[index];
    if (!descriptor) throw invalid(`manifest of image ${image.id} has no layer ${index}`);
    return { descriptor, diffId };
  });
}

/** What runs from the new image: the container's configuration, under that of the request where it says something. */
function commitConfig(record: ContainerRecord, asked: ContainerConfig | undefined): ImageRunConfig {
  const own = record.definition.config as unknown as ImageRunConfig;
  const merged = asked ? mergeImageConfig(asked, own) : mergeImageConfig({}, own);
  const { Hostname: _h, Domainname: _d, AttachStdin: _i, AttachStdout: _o, AttachStderr: _e, ...rest } = merged;
  const { Tty: _t, OpenStdin: _s, StdinOnce: _so, Image: _im, NetworkDisabled: _n, ...kept } = rest;
  return kept as unknown as ImageRunConfig;
}

function emptyConfig(record: ContainerRecord): ImageConfig {
  return {
    os: record.definition.platform.os,
    architecture: record.definition.platform.architecture,
    rootfs: { type: "layers", diff_ids: [] },
  };
}
