import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { parseBlobDigest } from "../names.ts";
import type { Parts } from "../parts.ts";
import { listRepositories, listTags } from "../records/listings.ts";
import { type Annotations, annotationsOf, type ManifestRecord, referrersOf } from "../records/manifests.ts";
import { SpecError } from "../spec-error.ts";
import { type Call, type Route, repositoryOf, sendJson } from "./route.ts";

/** Names on one page when the client does not say how many it wants, and at most. */
const defaultPage = 10_000;
const catalogPage = 1000;
/**
 * Descriptors of one referrers page: with their annotations they stay below what clients accept as a manifest, unless one alone has
 * more.
 */
const referrersPage = 500;
const referrersBytes = 3 * 1024 * 1024;

/** distribution-spec v1.1, "Content Discovery", and distribution's catalog. */
export function discoveryRoutes(parts: Parts): readonly Route[] {
  const get = (pattern: string, name: string, action: Route["action"], run: Route["run"]): Route => ({
    method: "GET",
    pattern,
    name,
    action,
    run,
  });
  return [
    get("/v2/{name...}/tags/list", "tags", "pull", (call) => tags(parts, call)),
    get("/v2/{name...}/referrers/{digest}", "referrers", "pull", async (call) => referrers(parts, call)),
    get("/v2/_catalog", "catalog", undefined, async (call) => catalog(parts, call)),
  ];
}

function pageOf(
  call: Call,
  otherwise: number,
): { readonly last: string; readonly limit: number; readonly asked: number } {
  const text = call.query.get("n");
  if (text !== null && !/^\d{1,9}$/.test(text)) {
    throw new SpecError("PAGINATION_NUMBER_INVALID", "invalid number of results requested", {
      n: text.slice(0, 100),
    });
  }
  const asked = text === null ? otherwise : Number(text);
  return { last: call.query.get("last") ?? "", limit: Math.min(asked, otherwise), asked };
}

/** RFC 8288: where the next page is. */
function nextLink(path: string, query: Record<string, string>): Record<string, string> {
  return { Link: `<${path}?${new URLSearchParams(query)}>; rel="next"` };
}

async function tags(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const { last, limit } = pageOf(call, defaultPage);
  // One more than wanted tells whether there is another page.
  const page = { last, limit: limit + 1 };
  const found =
    (await parts.cache.listTags(name, page, call.exchange.signal)) ??
    listTags(parts.records, name, page)?.map((each) => each.name);
  if (!found) throw new SpecError("NAME_UNKNOWN", "repository name not known to registry", { name });
  const shown = found.slice(0, limit);
  const more = limit > 0 && found.length > limit;
  const link = more ? nextLink(`/v2/${name}/tags/list`, { n: String(limit), last: shown.at(-1) ?? "" }) : {};
  sendJson(call, 200, { name, tags: shown }, link);
}

function catalog(parts: Parts, call: Call): void {
  const { last, limit } = pageOf(call, catalogPage);
  if (!call.identity.mayList || (parts.access.guardsRoot && !call.identity.proven)) {
    const challenge = parts.access.challenge(call.exchange, "registry:catalog:*");
    throw new SpecError("UNAUTHORIZED", "authentication required", undefined, {
      headers: { "WWW-Authenticate": challenge },
    });
  }
  const { found, next } =
    limit === 0
      ? { found: [], next: undefined }
      : listRepositories(parts.records, { last, limit }, (name) => call.identity.sees(name));
  const link = next === undefined ? {} : nextLink("/v2/_catalog", { n: String(limit), last: next });
  sendJson(call, 200, { repositories: found.map((each) => each.name) }, link);
}

function referrers(parts: Parts, call: Call): void {
  const name = repositoryOf(call);
  const digest = parseBlobDigest(call.params["digest"] ?? "");
  const artifactType = call.query.get("artifactType") || undefined;
  const { last, limit } = pageOf(call, referrersPage);
  const found = referrersOf(parts.records, name, digest, { artifactType, last, limit: limit + 1 });
  const shown: object[] = [];
  let bytes = 0;
  let lastShown = "";
  for (const each of found.slice(0, limit)) {
    const descriptor = descriptorOf(each, annotationsOf(parts.records, name, each.digest));
    bytes += JSON.stringify(descriptor).length;
    if (shown.length > 0 && bytes > referrersBytes) break;
    shown.push(descriptor);
    lastShown = each.digest;
  }
  const more = shown.length > 0 && found.length > shown.length;
  sendJson(
    call,
    200,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: shown },
    {
      "Content-Type": mediaTypes.ociIndex,
      ...(artifactType !== undefined && { "OCI-Filters-Applied": "artifactType" }),
      ...(more &&
        nextLink(`/v2/${name}/referrers/${digest}`, {
          n: String(limit),
          last: lastShown,
          ...(artifactType !== undefined && { artifactType }),
        })),
    },
  );
}

function descriptorOf(manifest: ManifestRecord, annotations: Annotations | undefined): object {
  return {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.size,
    ...(manifest.artifactType !== "" && { artifactType: manifest.artifactType }),
    ...(annotations && { annotations }),
  };
}
