import { TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { Digester, splitDigest } from "../../base/spec/oci/digest.ts";
import { manifestLimit } from "../../base/spec/oci/parse.ts";
import { unlessLost } from "../lost.ts";
import { parsePushedManifest } from "../manifest-document.ts";
import {
  type ManifestReference,
  parseManifestReference,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../names.ts";
import type { Parts } from "../parts.ts";
import { storedBlob } from "../records/blobs.ts";
import {
  deleteManifest,
  deleteTag,
  type ManifestRecord,
  manifestByDigest,
  manifestByTag,
  missingOf,
  putManifest,
  touchManifest,
} from "../records/manifests.ts";
import { SpecError } from "../spec-error.ts";
import { type Call, causeOf, type Route, repositoryOf } from "./route.ts";

/** Tags a push by digest may name at once; the spec asks for ten. */
const maxTags = 100;

/** How exactly it is known when a cached manifest was last asked for: each pull does not cost a write. */
const usedResolutionMs = 3_600_000;

/** distribution-spec v1.1, "Pulling manifests", "Pushing Manifests", "Deleting Manifests". */
export function manifestRoutes(parts: Parts): readonly Route[] {
  const pattern = "/v2/{name...}/manifests/{reference}";
  const name = "manifest";
  return [
    { method: "GET", pattern, name, action: "pull", run: (call) => get(parts, call) },
    { method: "HEAD", pattern, name, action: "pull", run: (call) => get(parts, call) },
    { method: "PUT", pattern, name, action: "push", run: (call) => put(parts, call) },
    { method: "DELETE", pattern, name, action: "delete", run: (call) => remove(parts, call) },
  ];
}

function find(parts: Parts, name: RepositoryName, reference: ManifestReference): ManifestRecord | undefined {
  return reference.kind === "digest"
    ? manifestByDigest(parts.records, name, reference.digest)
    : manifestByTag(parts.records, name, reference.tag);
}

async function get(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const reference = askedFor(call.params["reference"] ?? "");
  const { exchange } = call;
  const state = parts.cache.mirrors(name)
    ? await parts.cache.refresh(name, reference, exchange.signal)
    : "fresh";
  const manifest = find(parts, name, reference);
  if (!manifest) throw unknownManifest(name, reference);
  if (parts.cache.mirrors(name)) touchManifest(parts.records, name, manifest, usedResolutionMs);
  const headers = {
    "Content-Type": manifest.mediaType,
    "Docker-Content-Digest": manifest.digest,
    ETag: `"${manifest.digest}"`,
    "X-Content-Type-Options": "nosniff",
    ...(state === "stale" && {
      Warning: '299 - "the upstream registry cannot be asked: this is what it had last"',
    }),
  };
  if (exchange.headers.get("if-none-match") === headers.ETag) return exchange.send(304, headers);
  if (exchange.method === "HEAD") {
    return exchange.send(200, { ...headers, "Content-Length": String(manifest.size) });
  }
  const bytes = await unlessLost(parts, manifest.digest, () =>
    parts.storage.read(manifest.digest, manifestLimit),
  );
  if (!bytes) throw unknownManifest(name, reference);
  exchange.send(200, headers, bytes);
  notify(parts, call, "pull", name, manifest, reference.kind === "tag" ? reference.tag : undefined);
}

/** What cannot be a tag names nothing that could be here: 404, as the conformance suite has it, not 400. */
function askedFor(text: string): ManifestReference {
  try {
    return parseManifestReference(text);
  } catch (error) {
    if (!(error instanceof SpecError) || error.specCode !== "TAG_INVALID") throw error;
    throw new SpecError("MANIFEST_UNKNOWN", "manifest unknown to registry", error.info, { cause: error });
  }
}

async function put(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const reference = parseManifestReference(call.params["reference"] ?? "");
  const bytes = await readManifest(call);
  const digest = digestFor(bytes, reference);
  const { record, needs } = parsePushedManifest(bytes, call.exchange.headers.get("content-type"));
  const manifest = { ...record, digest, size: bytes.byteLength };
  const tags = tagsOf(call, reference);
  checkConditions(parts, call, name, reference);
  const check = (missing: readonly Digest[], added: number) => {
    if (missing.length > 0) throw unknownParts(missing);
    parts.quotas.admit(name, added);
  };
  check(missingOf(parts.records, name, needs), 0);
  await parts.locks.run(digest, async () => {
    await parts.storage.put(digest, bytes);
    try {
      putManifest(parts.records, name, manifest, needs, tags, check);
    } catch (error) {
      if (!storedBlob(parts.records, digest)) await parts.storage.delete(digest);
      throw error;
    }
  });
  const tagged = [...call.query.getAll("tag")];
  call.exchange.send(201, {
    Location: `/v2/${name}/manifests/${digest}`,
    "Docker-Content-Digest": digest,
    ...(record.subject && { "OCI-Subject": record.subject }),
    ...(tagged.length > 0 && { "OCI-Tag": tagged }),
  });
  for (const tag of tags.length > 0 ? tags : [undefined]) notify(parts, call, "push", name, manifest, tag);
}

function unknownParts(missing: readonly Digest[]): SpecError {
  return new SpecError(
    "MANIFEST_BLOB_UNKNOWN",
    "manifest references a manifest or blob unknown to registry",
    missing.map((digest) => ({ digest })),
  );
}

async function readManifest(call: Call): Promise<Uint8Array> {
  const tooLarge = () =>
    new SpecError("SIZE_INVALID", `manifests may have at most ${manifestLimit} bytes`, undefined, {
      status: 413,
    });
  if ((call.exchange.body.length ?? 0) > manifestLimit) throw tooLarge();
  try {
    return await call.exchange.body.bytes(manifestLimit);
  } catch (error) {
    if (error instanceof TugError && error.code === "invalid-argument" && error.message.includes("too large"))
      throw tooLarge();
    throw error;
  }
}

function digestFor(bytes: Uint8Array, reference: ManifestReference): Digest {
  const digester = new Digester(
    reference.kind === "digest" ? splitDigest(reference.digest).algorithm : "sha256",
  );
  digester.update(bytes);
  const digest = digester.digest();
  if (reference.kind === "tag" || digest === reference.digest) return digest;
  throw new SpecError("DIGEST_INVALID", "provided digest did not match uploaded content", {
    digest: reference.digest,
  });
}

/** The tag of the path, or those of `?tag=` when the path names a digest (spec, end-7b). */
function tagsOf(call: Call, reference: ManifestReference): readonly Tag[] {
  const more = call.query.getAll("tag");
  if (reference.kind === "tag") return [reference.tag];
  if (more.length > maxTags) {
    throw new SpecError("TAG_INVALID", `at most ${maxTags} tags can be pushed at once`, undefined, {
      status: 414,
    });
  }
  return more.map(parseTag);
}

/** If-Match and If-None-Match on a tag (RFC 9110, 13.1), so that two clients that change an index do not undo each other's work. */
function checkConditions(parts: Parts, call: Call, name: RepositoryName, reference: ManifestReference): void {
  const match = call.exchange.headers.get("if-match");
  const noneMatch = call.exchange.headers.get("if-none-match");
  if (match === undefined && noneMatch === undefined) return;
  const tag = find(parts, name, reference);
  const names = (list: string) => list.split(",").map((each) => each.trim());
  const is = (list: string) =>
    tag !== undefined && names(list).some((each) => each === "*" || each === `"${tag.digest}"`);
  if ((match === undefined || is(match)) && (noneMatch === undefined || !is(noneMatch))) return;
  throw new SpecError(
    "MANIFEST_INVALID",
    "the tag is not what the request expects",
    { digest: tag?.digest },
    { status: 412 },
  );
}

async function remove(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const reference = parseManifestReference(call.params["reference"] ?? "");
  const manifest = find(parts, name, reference);
  const gone =
    reference.kind === "digest"
      ? deleteManifest(parts.records, name, reference.digest)
      : deleteTag(parts.records, name, reference.tag);
  if (!gone || !manifest) throw unknownManifest(name, reference);
  call.exchange.send(202, {});
  notify(parts, call, "delete", name, manifest, reference.kind === "tag" ? reference.tag : undefined);
}

function notify(
  parts: Parts,
  call: Call,
  action: "push" | "pull" | "delete",
  repository: RepositoryName,
  manifest: Pick<ManifestRecord, "digest" | "mediaType" | "size">,
  tag: Tag | undefined,
): void {
  const { digest, mediaType, size } = manifest;
  parts.notifier.notify({ action, repository, digest, mediaType, size, tag, ...causeOf(call) });
}

function unknownManifest(name: RepositoryName, reference: ManifestReference): SpecError {
  const detail =
    reference.kind === "digest" ? { name, digest: reference.digest } : { name, tag: reference.tag };
  return new SpecError("MANIFEST_UNKNOWN", "manifest unknown to registry", detail);
}
