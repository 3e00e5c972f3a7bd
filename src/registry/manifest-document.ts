import { isCode, messageOf } from "../base/lib/errors.ts";
import type { Digest } from "../base/lib/ids.ts";
import { isForeignLayerType, mediaTypes } from "../base/spec/oci/media-types.ts";
import { parseImageDocument } from "../base/spec/oci/parse.ts";
import type { ManifestNeeds, NewManifest } from "./records/manifests.ts";
import { SpecError } from "./spec-error.ts";

/** What the registry takes from a manifest or index before it stores its bytes as they are. */
export interface ParsedManifest {
  readonly record: Omit<NewManifest, "digest" | "size">;
  readonly needs: ManifestNeeds;
}

/** Reads a pushed manifest; `contentType` is the request's header, whose parameters do not count. Throws MANIFEST_INVALID. */
export function parsePushedManifest(bytes: Uint8Array, contentType: string | undefined): ParsedManifest {
  const announced = (contentType ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  let document: ReturnType<typeof parseImageDocument>;
  try {
    document = parseImageDocument(bytes, announced);
  } catch (error) {
    if (!isCode(error, "data-loss")) throw error;
    throw new SpecError("MANIFEST_INVALID", "manifest invalid", messageOf(error), { cause: error });
  }
  if (document.kind === "schema1") {
    throw new SpecError(
      "MANIFEST_INVALID",
      "manifest invalid",
      "manifests of schema version 1 are not accepted",
    );
  }
  // Neither the header nor the document names a type: what the members say (image-spec, "mediaType" is optional).
  const mediaType =
    document.mediaType || (document.kind === "index" ? mediaTypes.ociIndex : mediaTypes.ociManifest);
  if (document.kind === "index") {
    const { index } = document;
    return {
      record: {
        mediaType,
        artifactType: index.artifactType ?? "",
        subject: index.subject?.digest,
        annotations: index.annotations,
      },
      needs: { blobs: [], children: unique(index.manifests.map((each) => each.digest)) },
    };
  }
  const { manifest } = document;
  const layers = manifest.layers.filter((layer) => !(isForeignLayerType(layer.mediaType) && layer.urls));
  return {
    record: {
      mediaType,
      artifactType: manifest.artifactType || manifest.config.mediaType,
      subject: manifest.subject?.digest,
      annotations: manifest.annotations,
    },
    needs: { blobs: unique([manifest.config, ...layers].map((each) => each.digest)), children: [] },
  };
}

function unique(digests: readonly Digest[]): readonly Digest[] {
  return [...new Set(digests)];
}
