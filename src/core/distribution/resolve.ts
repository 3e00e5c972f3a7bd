import { notFound, TugError } from "../../base/lib/errors.ts";
import { familiarString } from "../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import {
  isImageConfigType,
  isIndexType,
  isManifestType,
  mediaTypes,
} from "../../base/spec/oci/media-types.ts";
import { choosePlatform, formatPlatform, normalizePlatform } from "../../base/spec/oci/platform.ts";
import type { ResolvedImage } from "./distribution.ts";
import { fetchDigest, fetchNamed, type StoredDocument, schema1Error } from "./documents.ts";

/** An index may list indexes, but not for ever. */
const maxDepth = 3;

/** Follows a name to the manifest for `platform`; all documents on the way are in content afterwards. */
export async function resolveImage(
  context: Parameters<typeof fetchNamed>[0],
  platform: Platform,
): Promise<ResolvedImage> {
  const target = await fetchNamed(context);
  let current: StoredDocument = target;
  for (let depth = 0; current.document.kind === "index"; depth++) {
    if (depth >= maxDepth)
      throw new TugError("data-loss", `${familiarString(context.ref)}: indexes nested too deeply`);
    const candidates = current.document.index.manifests.filter(
      (each) => isManifestType(each.mediaType) || isIndexType(each.mediaType),
    );
    const chosen = choosePlatform(candidates, platform);
    if (!chosen) {
      const wanted = formatPlatform(normalizePlatform(platform));
      throw notFound(`no matching manifest for ${wanted} in the manifest list entries`);
    }
    current = await fetchDigest(context, chosen.digest, chosen.mediaType);
    if (chosen.size !== current.descriptor.size) {
      throw new TugError("data-loss", `manifest verification failed for digest ${chosen.digest}: wrong size`);
    }
  }
  if (current.document.kind !== "manifest") throw schema1Error(context.ref);
  const { config, layers } = current.document.manifest;
  checkTypes(config, layers);
  return { target: target.descriptor, manifest: current.descriptor, config, layers };
}

/** Charts, plugins and other artifacts live in the same registries and are no images. */
function checkTypes(config: Descriptor, layers: readonly Descriptor[]): void {
  if (config.mediaType !== "" && !isImageConfigType(config.mediaType)) {
    const message =
      config.mediaType === mediaTypes.dockerPlugin
        ? `Encountered remote ${JSON.stringify(config.mediaType)}(plugin) when fetching`
        : `unsupported media type ${config.mediaType}`;
    throw new TugError("invalid-argument", message);
  }
  for (const { mediaType } of layers) {
    if (
      mediaType !== "" &&
      !/^application\/(?:vnd\.(?:docker|oci)\.image\.|octet-stream|x-gzip|x-tar)/.test(mediaType)
    ) {
      throw new TugError("invalid-argument", `unsupported media type ${mediaType}`);
    }
    if (mediaType.endsWith("+encrypted")) {
      throw new TugError("invalid-argument", `unsupported media type ${mediaType}`);
    }
  }
}
