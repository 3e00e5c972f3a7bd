import { TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { tarTrailer } from "../../base/lib/tar/writer.ts";
import { parseReference, type Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import type { Index } from "../../base/spec/oci/image.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { ContentStore } from "../../core/content/content.ts";
import { blobFile, blobPath, directory, jsonFile } from "../../core/image/archive/archive-members.ts";
import type { Assembled } from "./assemble.ts";
import { canonicalName, storedName } from "./names.ts";

/** The image as an OCI layout in a tar; with `docker` also as `docker load` of old reads it (manifest.json), for its first platform. */
export async function* imageArchive(
  content: ContentStore,
  made: Assembled,
  names: readonly Reference[],
  options: { readonly docker: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* directory("blobs");
  yield* directory("blobs/sha256");
  const written = new Set<Digest>();
  for (const digest of layoutBlobs(made)) {
    if (written.has(digest)) continue;
    written.add(digest);
    yield* blobFile(content, { digest });
  }
  yield* jsonFile("index.json", layoutIndex(made, names));
  yield* jsonFile("oci-layout", layoutMark);
  if (options.docker) yield* jsonFile("manifest.json", legacyManifest(made, names));
  yield tarTrailer;
}

export const layoutMark = { imageLayoutVersion: "1.0.0" } as const;

/** Everything that the image is made of. */
export function layoutBlobs(made: Assembled): readonly Digest[] {
  return [
    ...made.images.flatMap(({ config, manifest, layers, attestation }) => [
      config.digest,
      ...layers.map(({ digest }) => digest),
      manifest.digest,
      ...(attestation?.blobs ?? []),
    ]),
    ...(made.index ? [made.index.descriptor.digest] : []),
  ];
}

/** One entry for each name (image-spec, image-layout.md, "index.json"). */
export function layoutIndex({ target, images, index }: Assembled, names: readonly Reference[]): Index {
  const platform = index ? undefined : images[0]?.manifest.platform;
  const plain: Descriptor = { ...target, ...(platform && { platform }) };
  const manifests =
    names.length === 0
      ? [plain]
      : names.map((ref) => ({
          ...plain,
          annotations: {
            ...plain.annotations,
            "io.containerd.image.name": canonicalName(ref),
            "org.opencontainers.image.ref.name": parseReference(canonicalName(ref)).tag ?? "",
          },
        }));
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
}

function legacyManifest({ images }: Assembled, names: readonly Reference[]): object {
  const [first] = images;
  if (!first) throw new TugError("internal", "an archive without image");
  return [
    {
      Config: blobPath(first.config.digest),
      RepoTags: names.map(storedName),
      Layers: first.layers.map(({ digest }) => blobPath(digest)),
    },
  ];
}
