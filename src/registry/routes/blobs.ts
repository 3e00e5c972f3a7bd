import { notFound, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import type { BlobInfo } from "../../core/content/content.ts";
import { unlessLost } from "../lost.ts";
import { parseBlobDigest, type RepositoryName } from "../names.ts";
import type { Parts } from "../parts.ts";
import { keepLink, linkedBlob, unlinkBlob } from "../records/blobs.ts";
import { SpecError } from "../spec-error.ts";
import type { BlobReader } from "../storage/storage.ts";
import { parseRange } from "./range.ts";
import { type Call, causeOf, type Route, repositoryOf } from "./route.ts";
import { sendPieces } from "./send.ts";

/** distribution-spec v1.1, "Pulling blobs" and "Deleting Blobs". */
export function blobRoutes(parts: Parts): readonly Route[] {
  const pattern = "/v2/{name...}/blobs/{digest}";
  return [
    { method: "GET", pattern, name: "blob", action: "pull", run: (call) => get(parts, call) },
    { method: "HEAD", pattern, name: "blob", action: "pull", run: (call) => head(parts, call) },
    { method: "DELETE", pattern, name: "blob", action: "delete", run: (call) => remove(parts, call) },
  ];
}

async function head(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const digest = parseBlobDigest(call.params["digest"] ?? "");
  const linked = linkedBlob(parts.records, name, digest);
  const blob =
    (linked && (await unlessLost(parts, digest, () => statStored(parts, digest, linked.size)))) ??
    (await parts.cache.statBlob(name, digest, call.exchange.signal));
  if (!blob) throw unknownBlob(digest);
  keepLink(parts.records, name, digest, parts.settings.graceMs / 4);
  call.exchange.send(200, { ...blobHeaders(digest), "Content-Length": String(blob.size) });
}

/** What storage has, when it is as long as the records say. */
async function statStored(parts: Parts, digest: Digest, size: number): Promise<BlobInfo> {
  const stored = await parts.storage.stat(digest);
  if (stored?.size === size) return stored;
  if (!stored) throw notFound(`content ${digest}: not found`);
  throw new TugError("data-loss", `storage has ${stored.size} of the ${size} bytes of ${digest}`);
}

async function openStored(parts: Parts, digest: Digest, size: number): Promise<BlobReader> {
  const reader = await parts.storage.open(digest);
  if (reader.size === size) return reader;
  await reader[Symbol.asyncDispose]();
  throw new TugError("data-loss", `storage has ${reader.size} of the ${size} bytes of ${digest}`);
}

async function get(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const digest = parseBlobDigest(call.params["digest"] ?? "");
  const { exchange } = call;
  const linked = linkedBlob(parts.records, name, digest);
  await using source =
    (linked && (await unlessLost(parts, digest, () => openStored(parts, digest, linked.size)))) ??
    (await parts.cache.openBlob(name, digest, exchange.signal));
  if (!source) throw unknownBlob(digest);
  if (exchange.headers.get("if-none-match") === `"${digest}"`) {
    exchange.send(304, blobHeaders(digest));
    return;
  }
  const { size } = source;
  const validator = exchange.headers.get("if-range");
  const wanted =
    validator === undefined || validator === `"${digest}"`
      ? parseRange(exchange.headers.get("range"), size)
      : undefined;
  if (wanted === "unsatisfiable") {
    throw new SpecError(
      "RANGE_INVALID",
      "the range lies outside the blob",
      { size },
      {
        headers: { "Content-Range": `bytes */${size}` },
      },
    );
  }
  const [start, end] = wanted ? [wanted.start, wanted.end] : [0, size];
  const stream = exchange.stream(wanted ? 206 : 200, {
    ...blobHeaders(digest),
    "Content-Length": String(end - start),
    ...(wanted && { "Content-Range": `bytes ${start}-${end - 1}/${size}` }),
  });
  await sendPieces(stream, source.pieces(start, end, exchange.signal), {
    stallMs: parts.settings.stallMs,
    sent: (bytes) => parts.metrics.sent(bytes),
  });
  parts.notifier.notify({
    action: "pull",
    repository: name,
    digest,
    mediaType: "application/octet-stream",
    size,
    tag: undefined,
    ...causeOf(call),
  });
}

async function remove(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const digest = parseBlobDigest(call.params["digest"] ?? "");
  const outcome = unlinkBlob(parts.records, name, digest);
  if (outcome === "unknown") throw unknownBlob(digest);
  if (outcome !== "gone") {
    // The spec lets a registry refuse with 405; a manifest whose layers are gone would be of use to nobody.
    throw new SpecError("UNSUPPORTED", "the blob is used by a manifest: delete that first", {
      manifest: outcome.neededBy,
    });
  }
  removed(parts, call, name, digest);
  call.exchange.send(202, {});
}

function removed(parts: Parts, call: Call, name: RepositoryName, digest: Digest): void {
  parts.notifier.notify({
    action: "delete",
    repository: name,
    digest,
    mediaType: "application/octet-stream",
    size: 0,
    tag: undefined,
    ...causeOf(call),
  });
}

function blobHeaders(digest: Digest): Record<string, string> {
  return {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
    "Accept-Ranges": "bytes",
    // A digest never means other bytes.
    "Cache-Control": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
  };
}

function unknownBlob(digest: Digest): SpecError {
  return new SpecError("BLOB_UNKNOWN", "blob unknown to registry", { digest });
}
