import { isCode } from "../base/lib/errors.ts";
import type { Branded, Digest } from "../base/lib/ids.ts";
import { parseDigest } from "../base/spec/docker/reference.ts";
import { SpecError } from "./spec-error.ts";

/** `<name>` of the distribution spec, validated: never a path of the host, whatever it contains. */
export type RepositoryName = Branded<"RepositoryName">;
/** A tag, validated. */
export type Tag = Branded<"Tag">;

/** distribution-spec v1.1, "Pulling manifests": the grammar of a name; its clients' limit is 255 bytes. */
const name = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const maxNameLength = 255;
const tag = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Throws NAME_INVALID. */
export function parseRepositoryName(text: string): RepositoryName {
  if (text.length > maxNameLength || !name.test(text)) {
    throw new SpecError("NAME_INVALID", "invalid repository name", { name: text.slice(0, maxNameLength) });
  }
  return text as RepositoryName;
}

/** Throws TAG_INVALID, which the spec has no code of its own for: distribution's name for it, status 400. */
export function parseTag(text: string): Tag {
  if (!tag.test(text)) throw new SpecError("TAG_INVALID", "manifest tag did not match", text.slice(0, 200));
  return text as Tag;
}

/** Throws DIGEST_INVALID. */
export function parseBlobDigest(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (error) {
    if (!isCode(error, "invalid-argument")) throw error;
    throw new SpecError("DIGEST_INVALID", "provided digest is not a sha256, sha384 or sha512 digest", {
      digest: text.slice(0, 200),
    });
  }
}

export type ManifestReference =
  | { readonly kind: "tag"; readonly tag: Tag }
  | { readonly kind: "digest"; readonly digest: Digest };

/** `<tag-or-digest>`: what has a colon can only be a digest. */
export function parseManifestReference(text: string): ManifestReference {
  return text.includes(":")
    ? { kind: "digest", digest: parseBlobDigest(text) }
    : { kind: "tag", tag: parseTag(text) };
}
