import { open } from "node:fs/promises";
import { messageOf } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { parseReference, type Reference } from "../../../base/spec/docker/reference.ts";
import { Digester, splitDigest } from "../../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import type { Image } from "../../../core/image/image.ts";
import { restoreConfig } from "../../../core/image/recovery.ts";
import type { CheckDeps, CheckOptions, Finding, NamedBlob } from "./finding.ts";

/** What people call an image. */
export const nameOf = (image: Image): string => image.tags[0] ?? image.digests[0] ?? image.id;

/** Every blob against its digest and against the records that name it. */
export async function* checkBlobs(deps: CheckDeps, options: CheckOptions): AsyncGenerator<Finding> {
  const named = await allNamed(deps);
  for (const owned of named.values()) {
    const { digest, size } = owned.blob;
    const info = deps.content.stat(digest);
    if (!info) yield finding(deps, owned, "it is missing");
    else if (size !== undefined && info.size !== size)
      yield finding(deps, owned, `it has ${info.size} bytes, its descriptor says ${size}`);
  }
  if (options.quick) return;
  for (const { digest } of [...deps.content.list()]) {
    options.signal?.throwIfAborted();
    const problem = await damageOf(deps, digest);
    if (problem === undefined) continue;
    const owned = named.get(digest);
    if (owned) yield finding(deps, owned, problem);
    else yield strayBlob(deps, digest, problem);
  }
}

/** A blob, and every image that it is of. */
interface OwnedBlob {
  readonly blob: NamedBlob;
  readonly images: Image[];
}

async function allNamed(deps: CheckDeps): Promise<ReadonlyMap<Digest, OwnedBlob>> {
  const named = new Map<Digest, OwnedBlob>();
  for (const image of deps.images.all()) {
    for await (const blob of namedBlobs(deps, image)) {
      const known = named.get(blob.digest);
      if (known) known.images.push(image);
      else named.set(blob.digest, { blob, images: [image] });
    }
  }
  return named;
}

function strayBlob(deps: CheckDeps, digest: Digest, problem: string): Finding {
  return {
    Kind: "blob",
    Name: digest,
    Problem: problem,
    Consequence: "no image is made of it; it only takes space",
    Remedy: "`tug system check --repair` removes it",
    repair: async () => {
      await deps.content.delete(digest);
      return "removed";
    },
  };
}

/** Config, manifest, layers and index of an image, as far as the manifest can be read. */
async function* namedBlobs(deps: CheckDeps, image: Image): AsyncGenerator<NamedBlob> {
  const common = { size: undefined };
  yield { ...common, digest: image.id as string as Digest, mediaType: mediaTypes.ociConfig, role: "config" };
  if (image.index) yield { ...common, digest: image.index, mediaType: mediaTypes.ociIndex, role: "index" };
  if (!image.manifest) return;
  yield { ...common, ...image.manifest, role: "manifest" };
  // Its damage is a finding of its own; what it would name is then not known.
  const text = await deps.content.read(image.manifest.digest, manifestLimit).catch(() => undefined);
  if (!text) return;
  for (const layer of parseManifest(text).layers) yield { ...common, ...layer, role: "layer" };
}

/** Reads it all; undefined when it is what its name says, or went meanwhile. */
async function damageOf(deps: CheckDeps, digest: Digest): Promise<string | undefined> {
  if (!deps.content.stat(digest)) return undefined;
  const file = await open(deps.content.path(digest), "r");
  try {
    const digester = new Digester(splitDigest(digest).algorithm);
    const buffer = new Uint8Array(1 << 20);
    for (;;) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) break;
      digester.update(buffer.subarray(0, bytesRead));
    }
    const found = digester.digest();
    return found === digest ? undefined : `its bytes hash to ${found}`;
  } catch (error) {
    return `it cannot be read: ${messageOf(error)}`;
  } finally {
    await file.close();
  }
}

function finding(deps: CheckDeps, { blob, images }: OwnedBlob, problem: string): Finding {
  const names = images.map(nameOf).join(", ");
  const whose = images.length > 1 ? `images ${names}` : `image ${names}`;
  const consequence = {
    config: `${whose} cannot be pushed or saved`,
    manifest: `${whose} cannot be pushed or saved as it came`,
    index: `${whose} cannot be pushed or saved with its other platforms`,
    layer: `${whose} cannot be pushed, saved or unpacked again`,
  }[blob.role];
  const known = blob.role === "config" || images.some(({ digests }) => digests.length > 0);
  return {
    Kind: "blob",
    Name: blob.digest,
    Problem: `${blob.role} of ${whose}: ${problem}`,
    Consequence: consequence,
    Remedy: known
      ? "`tug system check --repair` brings it back"
      : "no repository is known to have it: pull, load, import or build the image again",
    ...(known ? { repair: () => bringBack(deps, { blob, images }) } : {}),
  };
}

/** From an image's record, or from the repositories they were pulled from. */
async function bringBack(deps: CheckDeps, { blob, images }: OwnedBlob): Promise<string> {
  using _lease = deps.content.lease([blob.digest]);
  // Wrong bytes under this name would be taken for it.
  await deps.content.delete(blob.digest);
  const [image] = images;
  if (blob.role === "config" && image) {
    await restoreConfig(deps, image);
    return "written again from the image's record";
  }
  const failures: string[] = [];
  const repositories = images.flatMap(({ digests }) => digests);
  for (const name of repositories) {
    try {
      await fetchFrom(deps, parseReference(name), blob);
      return `fetched again from ${name.replace(/@.*/, "")}`;
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  // Credentials come with a request, the daemon has none of its own.
  throw new Error(`${failures.join("; ")}; \`tug pull ${repositories[0]}\` brings it back`);
}

async function fetchFrom(deps: CheckDeps, ref: Reference, blob: NamedBlob): Promise<void> {
  const { digest, mediaType, size } = blob;
  if (blob.role === "manifest" || blob.role === "index" || size === undefined) {
    await deps.registry.document({ ...ref, tag: undefined, digest }, {});
  } else await deps.registry.fetch(ref, { digest, mediaType, size }, {});
}
