import { notFound, TugError } from "../../base/lib/errors.ts";
import { shortId } from "../../base/lib/ids.ts";
import {
  familiarName,
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type { RegistryAuth, RemoteOptions } from "../../core/distribution/distribution.ts";
import type { Image } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { type ProgressMessage, ProgressQueue, paced } from "./progress.ts";

export interface PushOptions {
  readonly tag: string | undefined;
  readonly platform: string | undefined;
  readonly auth: RegistryAuth | undefined;
}

/** Pushes one tag, or every tag of the repository when none is named. */
export async function* pushImage(
  deps: ImageServiceDeps,
  text: string,
  options: PushOptions,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const named = parseReference(text);
  const tag = options.tag === undefined || options.tag === "" ? named.tag : options.tag;
  const refs = tag === undefined ? tagsOf(deps, named) : [parseReference(`${familiarName(named)}:${tag}`)];
  if (refs.length === 0) {
    throw notFound(`An image does not exist locally with the tag: ${familiarName(named)}`);
  }
  yield { status: `The push refers to repository [${named.domain}/${named.path}]` };
  for (const ref of refs) {
    const image = find(deps, ref);
    const queue = new ProgressQueue();
    yield* queue.drain(pushOne(deps, ref, image, { auth: options.auth, signal }, queue));
  }
}

function tagsOf(deps: ImageServiceDeps, named: Reference): readonly Reference[] {
  return deps.images
    .list()
    .flatMap((image) => image.tags)
    .map((tag) => parseReference(tag))
    .filter((ref) => ref.domain === named.domain && ref.path === named.path);
}

function find(deps: ImageServiceDeps, ref: Reference): Image {
  const name = familiarString(withDefaultTag(ref));
  const image = deps.images.list().find((one) => one.tags.includes(name));
  if (!image) throw notFound(`An image does not exist locally with the tag: ${familiarName(ref)}`);
  return image;
}

async function pushOne(
  deps: ImageServiceDeps,
  ref: Reference,
  image: Image,
  remote: RemoteOptions,
  queue: ProgressQueue,
): Promise<void> {
  if (!image.manifest)
    throw new TugError("not-found", `image ${familiarString(ref)} has no manifest to push`);
  const document = await deps.content.read(image.manifest.digest, manifestLimit);
  const manifest = parseManifest(document);
  const sources = image.digests
    .map((digest) => parseReference(digest))
    .filter((one) => one.domain === ref.domain);
  for (const layer of manifest.layers) show(queue, layer, "Preparing");
  for (const blob of [...manifest.layers, manifest.config]) {
    const meter = paced((current, total) => {
      if (blob !== manifest.config) show(queue, blob, "Pushing", { current, total });
    });
    const outcome = await deps.pusher.push(ref, blob, { ...remote, onProgress: meter, mountFrom: sources });
    if (blob === manifest.config) continue;
    const mounted = `Mounted from ${sources[0]?.path ?? ref.path}`;
    show(queue, blob, { exists: "Layer already exists", mounted, uploaded: "Pushed" }[outcome]);
  }
  const mediaType = manifest.mediaType ?? image.manifest.mediaType;
  const pushed = await deps.pusher.pushManifest(ref, document, mediaType, remote);
  publishImage(deps, "push", image, familiarName(ref), familiarString(ref));
  const tag = ref.tag ?? "latest";
  queue.push({ status: `${tag}: digest: ${pushed.digest} size: ${document.length}` });
  queue.push({ progressDetail: {}, aux: { Tag: tag, Digest: pushed.digest, Size: document.length } });
}

function show(
  queue: ProgressQueue,
  layer: Descriptor,
  status: string,
  detail: ProgressMessage["progressDetail"] = {},
): void {
  queue.push({ status, progressDetail: detail, id: shortId(layer.digest) });
}
