import { invalid } from "../../lib/errors.ts";
import type { Digest } from "../../lib/ids.ts";

/** A parsed image reference (grammar of github.com/distribution/reference): domain, path, and a tag and/or digest. */
export interface Reference {
  /** "docker.io", "localhost:5000", ... */
  readonly domain: string;
  /** "library/busybox" for Docker Hub's short names. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const domainComponent = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = new RegExp(
  `^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const pathPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[\w][\w.-]{0,127}$/;
const digestPattern = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;

/** Validates a digest strictly, before any path or URL is built from it. */
export function parseDigest(text: string): Digest {
  if (!digestPattern.test(text)) throw invalid(`invalid digest: ${JSON.stringify(text)}`);
  return text as Digest;
}

/** What the grammar takes for a digest; whether it is a usable one is said apart, as Docker does. */
const digestShape = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const hexLength: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

function digestOfReference(text: string): Digest {
  if (!digestShape.test(text)) throw invalid("invalid reference format");
  const colon = text.indexOf(":");
  const length = hexLength[text.slice(0, colon)];
  if (length === undefined) throw invalid("unsupported digest algorithm");
  if (text.length - colon - 1 !== length) throw invalid("invalid checksum digest length");
  if (!digestPattern.test(text)) throw invalid("invalid checksum digest format");
  return text as Digest;
}

/** Parses what a person types, without adding a tag. Throws invalid-argument "invalid reference format" as Docker does. */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  // Names come in archives and documents of megabytes; all parts at their longest are less than this.
  if (text.length > 2048) throw invalid("invalid reference format");
  let rest = text;
  const at = rest.indexOf("@");
  if (at >= 0) rest = rest.slice(0, at);
  let tag: string | undefined;
  const colon = rest.lastIndexOf(":");
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
  }
  const { domain, path } = splitDomain(rest);
  if (path !== path.toLowerCase()) {
    throw invalid(`invalid reference format: repository name (${path}) must be lowercase`);
  }
  const wellFormed = domainPattern.test(domain) && pathPattern.test(path);
  if (!wellFormed || (tag !== undefined && !tagPattern.test(tag))) throw invalid("invalid reference format");
  if (path.length > 255) throw invalid("repository name must not be more than 255 characters");
  const digest = at < 0 ? undefined : digestOfReference(text.slice(at + 1));
  return { domain, path, tag, digest };
}

/** The first component is a domain if it cannot be part of a name on Docker Hub. */
function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasDomain = namesDomain(name);
  let domain = hasDomain ? first : "docker.io";
  const path = hasDomain ? name.slice(slash + 1) : name;
  if (domain === "index.docker.io") domain = "docker.io";
  return { domain, path: domain === "docker.io" && !path.includes("/") ? `library/${path}` : path };
}

function namesDomain(name: string): boolean {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  return slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
}

/** With ":latest" when it names neither tag nor digest. */
export function withDefaultTag(ref: Reference): Reference {
  return ref.tag === undefined && ref.digest === undefined ? { ...ref, tag: "latest" } : ref;
}

/** Everything that it says: "docker.io/library/busybox:latest@sha256:…". */
export function formatReference(ref: Reference): string {
  const tag = ref.tag === undefined ? "" : `:${ref.tag}`;
  return `${ref.domain}/${ref.path}${tag}${ref.digest === undefined ? "" : `@${ref.digest}`}`;
}

/** The short form people see: "busybox" for docker.io/library/busybox. */
export function familiarName(ref: Reference): string {
  if (ref.domain !== "docker.io") return `${ref.domain}/${ref.path}`;
  const short = /^library\/[^/]+$/.test(ref.path) ? ref.path.slice("library/".length) : ref.path;
  // The hub's "evil.example/a" must not become the "a" of another registry.
  return namesDomain(short) ? `docker.io/${short}` : short;
}

/** Familiar name with its tag and digest. */
export function familiarString(ref: Reference): string {
  return `${familiarName(ref)}${ref.tag === undefined ? "" : `:${ref.tag}`}${ref.digest === undefined ? "" : `@${ref.digest}`}`;
}
