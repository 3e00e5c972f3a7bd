import { isCode } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import type { Ingest } from "../../core/content/content.ts";
import { parseBlobDigest, parseRepositoryName, type RepositoryName } from "../names.ts";
import type { Parts } from "../parts.ts";
import { linkBlob, linkedBlob, mountBlob, storedBlob } from "../records/blobs.ts";
import { SpecError } from "../spec-error.ts";
import { receiveBody } from "../uploads/receive.ts";
import { type Call, causeOf, type Route, repositoryOf } from "./route.ts";

const octets = "application/octet-stream";

/** distribution-spec v1.1, "Pushing blobs": sessions, chunks, mounts. */
export function uploadRoutes(parts: Parts): readonly Route[] {
  const base = "/v2/{name...}/blobs/uploads";
  const route = (method: string, pattern: string, run: Route["run"]): Route => ({
    method,
    pattern,
    name: "upload",
    action: "push",
    run,
  });
  return [
    route("POST", `${base}/`, (call) => begin(parts, call)),
    route("GET", `${base}/{id}`, (call) => status(parts, call)),
    route("PATCH", `${base}/{id}`, (call) => append(parts, call)),
    route("PUT", `${base}/{id}`, (call) => complete(parts, call)),
    route("DELETE", `${base}/{id}`, (call) => cancel(parts, call)),
  ];
}

async function begin(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const { query } = call;
  const mount = query.get("mount");
  if (mount !== null && (await tryMount(parts, call, name, mount))) return;
  const algorithm = query.get("digest-algorithm");
  if (algorithm !== null && !/^sha(256|384|512)$/.test(algorithm)) {
    throw new SpecError(
      "DIGEST_INVALID",
      "unsupported digest algorithm",
      { algorithm: algorithm.slice(0, 64) },
      { status: 400 },
    );
  }
  const digest = query.get("digest");
  if (digest !== null && mount === null) {
    const wanted = parseBlobDigest(digest);
    const id = parts.uploads.create(name);
    return await parts.uploads.use(name, id, (ingest, signal) =>
      finish(parts, call, id, ingest, signal, wanted),
    );
  }
  const id = parts.uploads.create(name);
  call.exchange.send(202, sessionHeaders(name, id, 0));
}

/** True when the blob is in the repository now. `from` is optional: any repository the client may read will do. */
async function tryMount(parts: Parts, call: Call, name: RepositoryName, mount: string): Promise<boolean> {
  const digest = parseBlobDigest(mount);
  const source = call.query.get("from");
  const from = source === null || source === "" ? undefined : parseRepositoryName(source);
  const readable = (each: RepositoryName) => call.identity.may("pull", each);
  const admit = (added: number) => parts.quotas.admit(name, added);
  const mounted = await parts.locks.run(digest, async () =>
    mountBlob(parts.records, name, digest, from, readable, admit),
  );
  if (!mounted) return false;
  parts.notifier.notify({
    action: "mount",
    repository: name,
    digest,
    mediaType: octets,
    size: mounted.size,
    tag: undefined,
    fromRepository: from,
    ...causeOf(call),
  });
  created(call, name, digest);
  return true;
}

async function status(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const id = idOf(call);
  const offset = await parts.uploads.offset(name, id);
  call.exchange.send(204, sessionHeaders(name, id, offset));
}

async function append(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const id = idOf(call);
  await parts.uploads.use(name, id, async (ingest, signal) => {
    checkRange(call, name, id, ingest.offset);
    await receive(parts, call, name, ingest, signal);
    call.exchange.send(202, sessionHeaders(name, id, ingest.offset));
  });
}

async function complete(parts: Parts, call: Call): Promise<void> {
  const name = repositoryOf(call);
  const id = idOf(call);
  const digest = parseBlobDigest(call.query.get("digest") ?? "");
  await parts.uploads.use(name, id, async (ingest, signal) => {
    checkRange(call, name, id, ingest.offset);
    await finish(parts, call, id, ingest, signal, digest);
  });
}

async function cancel(parts: Parts, call: Call): Promise<void> {
  const id = idOf(call);
  await parts.uploads.use(repositoryOf(call), id, async (ingest) => {
    parts.uploads.finish(id);
    await ingest.abort();
  });
  call.exchange.send(204, { "Docker-Upload-UUID": id });
}

/** The last bytes, then the blob: durable in storage before the record that names it, both under the blob's lock. */
async function finish(
  parts: Parts,
  call: Call,
  id: string,
  ingest: Ingest,
  signal: AbortSignal,
  digest: Digest,
): Promise<void> {
  const name = repositoryOf(call);
  // What the repository has already takes no more of its quota.
  const counts = linkedBlob(parts.records, name, digest) === undefined;
  await receive(parts, call, name, ingest, signal, counts);
  const size = ingest.offset;
  await parts.locks.run(digest, async () => {
    const admit = (added: number) => parts.quotas.admit(name, added);
    if (!linkedBlob(parts.records, name, digest)) admit(size);
    try {
      await ingest.commit(digest);
    } catch (error) {
      parts.uploads.finish(id);
      if (!isCode(error, "data-loss")) throw error;
      throw new SpecError("DIGEST_INVALID", "provided digest did not match uploaded content", { digest });
    }
    parts.uploads.finish(id);
    try {
      linkBlob(parts.records, name, { digest, size }, admit);
    } catch (error) {
      if (!storedBlob(parts.records, digest)) await parts.storage.delete(digest);
      throw error;
    }
  });
  parts.notifier.notify({
    action: "push",
    repository: name,
    digest,
    mediaType: octets,
    size,
    tag: undefined,
    ...causeOf(call),
  });
  created(call, name, digest);
}

async function receive(
  parts: Parts,
  call: Call,
  name: RepositoryName,
  ingest: Ingest,
  signal: AbortSignal,
  counts = true,
): Promise<void> {
  const length = call.exchange.body.length;
  const before = ingest.offset;
  const either = AbortSignal.any([signal, call.exchange.signal]);
  // Asked once, for a sum over many repositories is not for every chunk; the record is made under the quota as it is then.
  const left = counts ? parts.quotas.left(name) : Number.POSITIVE_INFINITY;
  const admit = (size: number) => {
    if (size > left) parts.quotas.admit(name, size);
  };
  const received = (bytes: number) => parts.metrics.received(bytes);
  await receiveBody(call.exchange.body, ingest, either, { stallMs: parts.settings.stallMs, admit, received });
  if (length !== undefined && ingest.offset - before !== length) {
    throw new SpecError("SIZE_INVALID", "provided length did not match content length");
  }
}

/** A chunk starts where the last one ended ("Pushing a blob in chunks"); the client may go on from the Range of the refusal. */
function checkRange(call: Call, name: RepositoryName, id: string, offset: number): void {
  const text = call.exchange.headers.get("content-range");
  if (text === undefined) return;
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(text);
  const [start, end] = [Number(match?.[1]), Number(match?.[2])];
  const length = call.exchange.body.length;
  // "0--1" and "0-0" are how some clients write that there is nothing in the request.
  if (length === 0) return;
  if (!match || end < start || (length !== undefined && end - start + 1 !== length)) {
    throw new SpecError("SIZE_INVALID", "Content-Range does not fit the content", {
      range: text.slice(0, 100),
    });
  }
  if (start === offset) return;
  throw new SpecError(
    "RANGE_INVALID",
    "the chunk does not start where the upload ends",
    { offset, range: text.slice(0, 100) },
    { headers: sessionHeaders(name, id, offset) },
  );
}

function idOf(call: Call): string {
  const id = call.params["id"] ?? "";
  if (!/^[0-9a-f-]{36}$/.test(id))
    throw new SpecError("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  return id;
}

function sessionHeaders(name: RepositoryName, id: string, offset: number): Record<string, string> {
  return {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    Range: `0-${Math.max(0, offset - 1)}`,
    "Docker-Upload-UUID": id,
  };
}

function created(call: Call, name: RepositoryName, digest: Digest): void {
  call.exchange.send(201, { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest });
}
