import { parseDigest } from "../docker/reference.ts";
import type { Descriptor, Platform } from "./descriptor.ts";
import {
  asObject,
  type Fields,
  malformed,
  optionalArray,
  optionalNumber,
  optionalObject,
  optionalString,
  optionalStringMap,
  optionalStrings,
  parseObject,
} from "./fields.ts";
import type { Index, Manifest } from "./image.ts";
import { isIndexType, isManifestType, isSchema1Type } from "./media-types.ts";

/** Registries and containerd cap manifests at 4 MiB (distribution-spec v1.1, "Pushing Manifests"). */
export const manifestLimit = 4 * 1024 * 1024;

/** A descriptor, its digest checked before anybody builds a path or URL of it. */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  const from = asObject(value, where);
  const mediaType = optionalString(from, "mediaType", where) ?? "";
  if (mediaType.length > 255) throw malformed(`invalid ${where}: mediaType is too long`);
  const text = optionalString(from, "digest", where);
  if (text === undefined) throw malformed(`invalid ${where}: digest is missing`);
  let digest: Descriptor["digest"];
  try {
    digest = parseDigest(text);
  } catch (error) {
    throw malformed(`invalid ${where}: invalid digest ${JSON.stringify(text.slice(0, 200))}`, error);
  }
  const size = optionalNumber(from, "size", where) ?? 0;
  if (!Number.isSafeInteger(size) || size < 0)
    throw malformed(`invalid ${where}: size ${size} is not a size`);
  const urls = optionalStrings(from, "urls", where);
  const annotations = optionalStringMap(from, "annotations", where);
  const artifactType = optionalString(from, "artifactType", where);
  const platform = optionalObject(from, "platform", where);
  return {
    mediaType,
    digest,
    size,
    ...(urls && urls.length > 0 && { urls }),
    ...(annotations && { annotations }),
    ...(artifactType && { artifactType }),
    ...(platform && { platform: parsePlatformObject(platform, `${where}.platform`) }),
  };
}

function parsePlatformObject(from: Fields, where: string): Platform {
  const variant = optionalString(from, "variant", where);
  const version = optionalString(from, "os.version", where);
  const features = optionalStrings(from, "os.features", where);
  return {
    architecture: optionalString(from, "architecture", where) ?? "",
    os: optionalString(from, "os", where) ?? "",
    ...(variant && { variant }),
    ...(version && { "os.version": version }),
    ...(features && { "os.features": features }),
  };
}

/** A manifest or an index, told apart by its members; a document that is both is refused (CVE-2021-41190). */
export type ImageDocument =
  | { readonly kind: "manifest"; readonly mediaType: string; readonly manifest: Manifest }
  | { readonly kind: "index"; readonly mediaType: string; readonly index: Index }
  | { readonly kind: "schema1"; readonly mediaType: string };

/**
 * Parses what a registry or an OCI layout gives for a manifest. `contentType` is what it was announced as (Content-Type
 * header or descriptor); the document's own mediaType must agree with it (image-spec v1.1, manifest.md, "mediaType").
 */
export function parseImageDocument(bytes: Uint8Array, contentType?: string): ImageDocument {
  const from = parseObject(bytes, "manifest", manifestLimit);
  const own = optionalString(from, "mediaType", "manifest");
  const announced = contentType === undefined || isGeneric(contentType) ? undefined : contentType;
  if (own && announced && own !== announced) {
    throw malformed(`mediaType in manifest should be '${announced}' not '${own}'`);
  }
  const mediaType = own || announced || "";
  const version = optionalNumber(from, "schemaVersion", "manifest");
  if (version === 1 || isSchema1Type(mediaType)) return { kind: "schema1", mediaType };
  if (version !== 2) throw malformed(`unrecognized manifest schema version ${version ?? "(none)"}`);
  const single = from["config"] !== undefined || from["layers"] !== undefined;
  const list = from["manifests"] !== undefined;
  if (single && (list || isIndexType(mediaType)))
    throw malformed("ambiguous manifest: it is both a list of manifests and an image");
  if (list || isIndexType(mediaType)) {
    if (isManifestType(mediaType))
      throw malformed(`mediaType '${mediaType}' does not fit a list of manifests`);
    return { kind: "index", mediaType, index: readIndex(from, own) };
  }
  if (!single) throw malformed("invalid manifest: it has neither config nor manifests");
  return { kind: "manifest", mediaType, manifest: readManifest(from, own) };
}

/** Parses an image manifest (OCI or Docker schema 2); throws data-loss for anything else. */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const document = parseImageDocument(bytes, contentType);
  if (document.kind === "manifest") return document.manifest;
  throw malformed(`invalid manifest: it is ${document.kind === "index" ? "an index" : "schema version 1"}`);
}

/** Parses an image index or manifest list; throws data-loss for anything else. */
export function parseIndex(bytes: Uint8Array, contentType?: string): Index {
  const document = parseImageDocument(bytes, contentType);
  if (document.kind === "index") return document.index;
  throw malformed("invalid index: it has no manifests");
}

function readManifest(from: Fields, mediaType: string | undefined): Manifest {
  const config = parseDescriptor(from["config"], "manifest.config");
  const layers = (optionalArray(from, "layers", "manifest") ?? []).map((each, index) =>
    parseDescriptor(each, `manifest.layers[${index}]`),
  );
  const artifactType = optionalString(from, "artifactType", "manifest");
  const subject = readSubject(from, "manifest");
  const annotations = optionalStringMap(from, "annotations", "manifest");
  return {
    schemaVersion: 2,
    config,
    layers,
    ...(mediaType && { mediaType }),
    ...(artifactType && { artifactType }),
    ...(subject && { subject }),
    ...(annotations && { annotations }),
  };
}

function readIndex(from: Fields, mediaType: string | undefined): Index {
  const manifests = (optionalArray(from, "manifests", "index") ?? []).map((each, index) =>
    parseDescriptor(each, `index.manifests[${index}]`),
  );
  const artifactType = optionalString(from, "artifactType", "index");
  const subject = readSubject(from, "index");
  const annotations = optionalStringMap(from, "annotations", "index");
  return {
    schemaVersion: 2,
    manifests,
    ...(mediaType && { mediaType }),
    ...(artifactType && { artifactType }),
    ...(subject && { subject }),
    ...(annotations && { annotations }),
  };
}

function readSubject(from: Fields, where: string): Descriptor | undefined {
  const subject = from["subject"] ?? undefined;
  return subject === undefined ? undefined : parseDescriptor(subject, `${where}.subject`);
}

/** Content types that say nothing about the document. */
function isGeneric(type: string): boolean {
  return (
    type === "" || type === "application/json" || type === "application/octet-stream" || type === "text/plain"
  );
}
