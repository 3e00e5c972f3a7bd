import { TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { familiarString, parseDigest, type Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { Digester, digestOf, splitDigest } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { type ImageDocument, manifestLimit, parseImageDocument } from "../../base/spec/oci/parse.ts";
import type { ContentStore, Lease } from "../content/content.ts";
import { readBody } from "./http/body.ts";
import type { Session } from "./http/session.ts";

/** What is asked for; schema 1 is left out, so that a registry converts or refuses instead of sending it. */
export const accept = [
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
].join(", ");

export interface StoredDocument {
  readonly descriptor: Descriptor;
  readonly document: ImageDocument;
}

interface Context {
  readonly session: Session;
  readonly content: ContentStore;
  readonly ref: Reference;
  readonly signal: AbortSignal | undefined;
  readonly lease: Lease | undefined;
}

/**
 * The document a tag or digest names, in content afterwards. A tag is asked for with HEAD first: registries count only GETs
 * against pull limits, and a document that is here already need not travel.
 */
export async function fetchNamed(context: Context): Promise<StoredDocument> {
  const { ref } = context;
  if (ref.digest !== undefined) return await fetchDigest(context, ref.digest, undefined);
  const head = await headTag(context, ref.tag ?? "latest");
  if (head) {
    const here = await fromContent(context, head.digest, head.contentType);
    if (here) return here;
    return await get(context, head.digest, head.digest);
  }
  return await get(context, ref.tag ?? "latest", undefined);
}

/** The document of a digest, from content if it is there. */
export async function fetchDigest(
  context: Context,
  digest: Digest,
  mediaType: string | undefined,
): Promise<StoredDocument> {
  return (await fromContent(context, digest, mediaType)) ?? (await get(context, digest, digest));
}

async function headTag(
  context: Context,
  tag: string,
): Promise<{ readonly digest: Digest; readonly contentType: string } | undefined> {
  using exchange = await context.session.send({
    method: "HEAD",
    path: `/v2/${context.session.repository}/manifests/${tag}`,
    headers: { Accept: accept },
    // An error to HEAD has no body to tell why: GET asks again.
    expect: [200, 400, 403, 404, 405, 406, 410, 429, 451],
    signal: context.signal,
  });
  const { status, headers } = exchange.response;
  const text = headers.get("docker-content-digest");
  if (status !== 200 || text === null) return undefined;
  return { digest: headerDigest(text), contentType: mimeType(headers.get("content-type")) };
}

async function fromContent(
  context: Context,
  digest: Digest,
  mediaType: string | undefined,
): Promise<StoredDocument | undefined> {
  context.lease?.add(digest);
  if (!context.content.stat(digest)) return undefined;
  const bytes = await context.content.read(digest, manifestLimit);
  const document = parseImageDocument(bytes, mediaType);
  return { descriptor: { mediaType: document.mediaType, digest, size: bytes.byteLength }, document };
}

async function get(context: Context, name: string, expected: Digest | undefined): Promise<StoredDocument> {
  const { session, content, ref } = context;
  using exchange = await session.send({
    method: "GET",
    path: `/v2/${session.repository}/manifests/${name}`,
    headers: { Accept: accept },
    expect: [200],
    signal: context.signal,
  });
  const { headers } = exchange.response;
  const bytes = await readBody(exchange, manifestLimit);
  const announced = expected ?? optionalDigest(headers.get("docker-content-digest"));
  const digest = digestLike(bytes, announced);
  if (announced !== undefined && digest !== announced) {
    throw new TugError("data-loss", `manifest verification failed for digest ${announced}`);
  }
  const document = parseImageDocument(bytes, mimeType(headers.get("content-type")));
  if (document.kind === "schema1") throw schema1Error(ref);
  context.lease?.add(digest);
  const descriptor: Descriptor = { mediaType: document.mediaType, digest, size: bytes.byteLength };
  if (!content.stat(digest)) {
    await using ingest = await content.ingest(`manifest-${digest}`, descriptor, context.signal);
    if (ingest.offset > 0) await ingest.reset();
    await ingest.write(bytes);
    await ingest.commit();
  }
  return { descriptor, document };
}

/** Docker's refusal of images older than manifest schema 2. */
export function schema1Error(ref: Reference): TugError {
  return new TugError(
    "invalid-argument",
    "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. " +
      `Suggest the author of ${familiarString(ref)} to upgrade the image to the OCI Format or Docker Image manifest v2, ` +
      "schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/",
  );
}

/** The digest of bytes by the algorithm of another digest. */
function digestLike(bytes: Uint8Array, like: Digest | undefined): Digest {
  if (like === undefined || like.startsWith("sha256:")) return digestOf(bytes);
  const digester = new Digester(splitDigest(like).algorithm);
  digester.update(bytes);
  return digester.digest();
}

function optionalDigest(text: string | null): Digest | undefined {
  return text === null || text === "" ? undefined : headerDigest(text);
}

function headerDigest(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (error) {
    throw new TugError("data-loss", `invalid Docker-Content-Digest ${JSON.stringify(text.slice(0, 200))}`, {
      cause: error,
    });
  }
}

/** "a/b" of "a/b; charset=utf-8". */
function mimeType(header: string | null): string {
  return (header ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}
