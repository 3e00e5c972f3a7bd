import type { Digest } from "../../base/lib/ids.ts";
import type { ImageManifestSummary, ImageSummary } from "../../base/spec/docker/api.gen.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { isManifestType } from "../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type { Found, Image } from "../../core/image/image.ts";
import { attestationSubject } from "../../core/image/index-tree.ts";
import { platformOf } from "../../core/image/platform-of.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { wireDescriptor, wirePlatform } from "./descriptor.ts";

type Identity = NonNullable<NonNullable<ImageManifestSummary["ImageData"]>["Identity"]>;

/** Where an image was pulled from, as its digests tell; undefined for one that never was. */
export function imageIdentity(images: readonly Pick<Image, "digests">[]): Identity | undefined {
  const repositories = new Set(
    images.flatMap((image) =>
      image.digests.map((digest) => {
        const { domain, path } = parseReference(digest);
        return `${domain}/${path}`;
      }),
    ),
  );
  if (repositories.size === 0) return undefined;
  return { Pull: [...repositories].sort().map((Repository) => ({ Repository })) };
}

/** Every manifest that an image's index lists, or its only one: here or not, image, attestation or something else. */
export async function manifestSummaries(
  deps: ImageServiceDeps,
  found: Found,
  identity?: Identity,
): Promise<NonNullable<ImageSummary["Manifests"]>> {
  const { image, target, index } = found;
  if (!index) return target ? [await summary(deps, target, image, identity)] : [];
  const list: ImageManifestSummary[] = [];
  for (const entry of index.manifests) {
    const id = index.present.get(entry.digest);
    list.push(await summary(deps, entry, id && deps.images.get(id), identity));
  }
  return list;
}

async function summary(
  deps: ImageServiceDeps,
  entry: Descriptor,
  image: Image | undefined,
  identity: Identity | undefined,
): Promise<ImageManifestSummary> {
  const { available, content } = await contentOf(deps, entry);
  const subject = attestationSubject(entry);
  const unpacked = image?.size ?? 0;
  const common = {
    ID: entry.digest,
    Descriptor: wireDescriptor(entry),
    Available: available,
    Size: { Total: content + unpacked, Content: content },
  };
  if (subject !== undefined) return { ...common, Kind: "attestation", AttestationData: { For: subject } };
  const platform = entry.platform ?? (image && platformOf(image.config));
  if (!platform || (!image && !isManifestType(entry.mediaType))) return { ...common, Kind: "unknown" };
  return {
    ...common,
    Kind: "image",
    ImageData: {
      Platform: wirePlatform(platform),
      ...(identity ? { Identity: identity } : {}),
      Containers: image ? deps.users.usersOf(image.id).map((user) => user.id) : [],
      Size: { Unpacked: unpacked },
    },
  };
}

/** Bytes of a manifest and its blobs that are here, each once; and whether all are. */
async function contentOf(
  deps: Pick<ImageServiceDeps, "content">,
  entry: Descriptor,
): Promise<{ readonly available: boolean; readonly content: number }> {
  const own = deps.content.stat(entry.digest);
  if (!own || !isManifestType(entry.mediaType)) return { available: false, content: own?.size ?? 0 };
  const { config, layers } = parseManifest(await deps.content.read(entry.digest, manifestLimit));
  const sizes = new Map<Digest, number | undefined>([[entry.digest, own.size]]);
  for (const { digest } of [config, ...layers]) sizes.set(digest, deps.content.stat(digest)?.size);
  return {
    available: [...sizes.values()].every((size) => size !== undefined),
    content: [...sizes.values()].reduce<number>((sum, size) => sum + (size ?? 0), 0),
  };
}
