import { isCode, notFound, TugError } from "../../base/lib/errors.ts";
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
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { RemoteOptions } from "../../core/distribution/distribution.ts";
import type { Found, Image, ImageIndex } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { wireDescriptor } from "./descriptor.ts";
import { publishImage } from "./events.ts";
import { platformOption } from "./platform-option.ts";
import { ProgressQueue, paced } from "./progress.ts";
import { type DocumentPush, layerSources, pushDocument, sourcesOf } from "./push-index.ts";

export interface PushOptions {
  readonly tag: string | undefined;
  readonly platform: string | undefined;
  readonly auth: AuthConfig | undefined;
}

/** Pushes one tag, or every tag of the repository when none is named. */
export async function* pushImage(
  deps: ImageServiceDeps,
  text: string,
  options: PushOptions,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const named = parseReference(text);
  const platform = platformOption(deps, options.platform);
  const tag = options.tag === undefined || options.tag === "" ? named.tag : options.tag;
  const refs = tag === undefined ? tagsOf(deps, named) : [parseReference(`${familiarName(named)}:${tag}`)];
  yield { status: `The push refers to repository [${named.domain}/${named.path}]` };
  if (tagsOf(deps, named).length === 0) {
    throw notFound(`An image does not exist locally with the tag: ${familiarName(named)}`);
  }
  for (const ref of refs) {
    const { image } = find(deps, ref, platform);
    if (!image.manifest) await deps.complete(image.id, signal);
    const found = find(deps, ref, platform);
    const queue = new ProgressQueue();
    yield* queue.drain(
      pushOne(deps, ref, found, { auth: options.auth, signal }, queue, platform === undefined),
    );
  }
  const [first] = refs;
  if (!first) return;
  const asked = tag === undefined ? familiarName(named) : familiarString(first);
  publishImage(deps, "push", find(deps, first, platform).image, familiarName(named), asked);
}

function tagsOf(deps: ImageServiceDeps, named: Reference): readonly Reference[] {
  return deps.images
    .list()
    .flatMap((image) => image.tags)
    .toSorted()
    .map((tag) => parseReference(tag))
    .filter((ref) => ref.domain === named.domain && ref.path === named.path);
}

function find(deps: ImageServiceDeps, ref: Reference, platform: Platform | undefined): Found {
  const name = familiarString(withDefaultTag(ref));
  if (!deps.images.list().some((one) => one.tags.includes(name))) {
    throw notFound(`tag does not exist: ${name}`);
  }
  return deps.images.find(name, platform);
}

async function pushOne(
  deps: ImageServiceDeps,
  ref: Reference,
  found: Found,
  remote: RemoteOptions,
  queue: ProgressQueue,
  whole: boolean,
): Promise<void> {
  const { image, target, index } = found;
  if (!target) throw new TugError("not-found", `image ${familiarString(ref)} has no manifest to push`);
  const family = [image, ...image.siblings.flatMap((id) => deps.images.get(id) ?? [])];
  const mounts = await layerSources(deps, image, ref.domain);
  const push = { ref, sources: sourcesOf(family), mounts, remote, show: shower(queue) };
  let pushed: Descriptor;
  try {
    pushed = await pushDocument(deps, target, push);
  } catch (error) {
    if (!index || !isCode(error, "not-found")) throw error;
    pushed = await pushPart(deps, index, push, error, queue);
  } finally {
    // Other platforms that were only carried through.
    if (index && index.present.size < index.manifests.length) await deps.collect();
  }
  // A platform that was pushed alone would become an image of its own by the name.
  if (whole) await rememberDigest(deps, image, ref, pushed);
  const tag = ref.tag ?? "latest";
  queue.push({ status: `${tag}: digest: ${pushed.digest} size: ${pushed.size}` });
  queue.push({ progressDetail: {}, aux: { Tag: tag, Digest: pushed.digest, Size: pushed.size } });
}

/** The repository has the image by its digest now, as after a pull from there. */
async function rememberDigest(
  deps: ImageServiceDeps,
  image: Image,
  ref: Reference,
  { digest }: Descriptor,
): Promise<void> {
  await deps.locks.run(`image ${image.id}`, async () => {
    const name = `${familiarName(ref)}@${digest}`;
    const now = deps.images.get(image.id);
    if (now && !now.digests.includes(name)) deps.images.tag(image.id, name, digest);
  });
}

/** An index that nobody has whole: its only platform that is here is pushed instead, and the client is told (moby's auxprogress). */
async function pushPart(
  deps: ImageServiceDeps,
  index: ImageIndex,
  push: DocumentPush,
  cause: unknown,
  queue: ProgressQueue,
): Promise<Descriptor> {
  const here = index.manifests.filter((each) => index.present.has(each.digest));
  const [only] = here;
  if (here.length !== 1 || !only) {
    queue.push({ aux: { ContentMissing: true, Desc: wireDescriptor(index.descriptor) } });
    throw cause;
  }
  const pushed = await pushDocument(deps, only, push);
  const aux = {
    ManifestPushedInsteadOfIndex: true,
    OriginalIndex: wireDescriptor(index.descriptor),
    SelectedManifest: wireDescriptor(only),
  };
  queue.push({ aux });
  return pushed;
}

/** Byte counts at a bearable pace for each layer. */
function shower(queue: ProgressQueue): DocumentPush["show"] {
  const meters = new Map<string, (current: number, total: number) => void>();
  const put = (blob: Descriptor, status: string, progressDetail: ProgressMessage["progressDetail"] = {}) =>
    queue.push({ status, progressDetail, id: shortId(blob.digest) });
  return (blob, status, progress) => {
    if (!progress) return put(blob, status);
    const key = `${status} ${blob.digest}`;
    const meter = meters.get(key) ?? paced((current, total) => put(blob, status, { current, total }));
    meters.set(key, meter);
    meter(progress.current, progress.total);
  };
}
