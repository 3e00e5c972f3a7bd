import { invalid, isCode } from "../../base/lib/errors.ts";
import { shortId } from "../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import { applyConfigChanges } from "../../base/spec/docker/config-changes.ts";
import type { ImageInventory } from "../../base/spec/docker/extensions.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { parsePlatform } from "../../base/spec/oci/platform.ts";
import type { Image } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { repositoryOf } from "./names.ts";
import { platformOption } from "./platform-option.ts";

/** Images from an archive; `quiet` leaves out the layers' progress. */
export async function* loadImages(
  deps: ImageServiceDeps,
  tar: ReadableStream<Uint8Array>,
  options: { readonly quiet: boolean; readonly platforms: readonly string[]; readonly keep?: boolean },
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  await using received = deps.received.open(options.keep === true);
  for await (const event of deps.archives.load(tar, {
    platforms: platformsOf(deps, options.platforms),
    signal,
    ...(received.lease ? { received: received.lease } : {}),
  })) {
    if (event.kind === "progress") {
      if (options.quiet) continue;
      const progressDetail = { current: event.done, total: event.total };
      yield { status: "Loading layer", progressDetail, id: shortId(event.layer) };
      continue;
    }
    const image = deps.images.get(event.id);
    if (event.displaced !== undefined) {
      yield {
        stream: `The image ${event.reference} already exists, renaming the old one with ID ${event.displaced} to empty string\n`,
      };
    }
    publishImage(deps, "load", image, event.id);
    yield {
      stream:
        event.reference === undefined
          ? `Loaded image ID: ${event.id}\n`
          : `Loaded image: ${event.reference}\n`,
    };
  }
  received.done();
}

export async function saveImages(
  deps: ImageServiceDeps,
  references: readonly string[],
  options: { readonly platforms: readonly string[]; readonly missingOn?: ImageInventory | undefined },
): Promise<ReadableStream<Uint8Array>> {
  for (const image of references.flatMap((reference) => ifThere(() => saved(deps, reference)))) {
    if (!image.manifest) await deps.complete(image.id);
  }
  const tar = deps.archives.save(references, {
    platforms: platformsOf(deps, options.platforms),
    ...(options.missingOn ? { missingOn: options.missingOn } : {}),
  });
  for (const reference of references) {
    for (const image of saved(deps, reference)) publishImage(deps, "save", image, image.id);
  }
  return tar;
}

/** What is missing is the archive's to tell, in the words of `save`. */
function ifThere(find: () => readonly Image[]): readonly Image[] {
  try {
    return find();
  } catch (error) {
    if (isCode(error, "not-found")) return [];
    throw error;
  }
}

/** What a word stands for in `save`: an image, or for a name alone all that have a tag of it. */
function saved(deps: ImageServiceDeps, reference: string): readonly Image[] {
  const tagged = deps.images
    .list()
    .filter((image) => image.tags.some((tag) => repositoryOf(tag) === reference));
  return tagged.length > 0 ? tagged : [deps.images.resolve(reference)];
}

function platformsOf(deps: ImageServiceDeps, texts: readonly string[]): readonly Platform[] {
  return texts.map((text) => parsePlatform(text, deps.platform));
}

export interface ImportOptions {
  readonly repo: string;
  readonly tag: string;
  readonly message: string;
  readonly changes: readonly string[];
  readonly platform: string | undefined;
}

/** A root file system as a one-layer image. */
export async function* importImage(
  deps: ImageServiceDeps,
  source: ReadableStream<Uint8Array>,
  options: ImportOptions,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const name = options.repo === "" ? undefined : importName(options.repo, options.tag);
  const platform = platformOption(deps, options.platform) ?? deps.platform;
  const created = formatRfc3339Nano(BigInt(Math.trunc(deps.clock.now())) * 1_000_000n);
  const message = options.message === "" ? "Imported from -" : options.message;
  const config: ImageConfig = {
    created,
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    comment: message,
    config: applyConfigChanges({}, options.changes),
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  };
  signal.throwIfAborted();
  const id = await deps.archives.import(source, config, name, message);
  if (name !== undefined) publishImage(deps, "tag", deps.images.get(id), name);
  publishImage(deps, "import", deps.images.get(id), id);
  yield { status: id };
}

function importName(repo: string, tag: string): string {
  const ref = parseReference(tag === "" ? repo : `${repo}:${tag}`);
  if (ref.digest !== undefined) throw invalid("cannot import digest reference");
  return familiarString(withDefaultTag(ref));
}
