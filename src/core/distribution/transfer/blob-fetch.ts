import type { Clock } from "../../../base/lib/clock.ts";
import { isCode, TugError } from "../../../base/lib/errors.ts";
import type { Semaphore } from "../../../base/lib/semaphore.ts";
import type { Reference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { isForeignLayerType } from "../../../base/spec/oci/media-types.ts";
import type { ContentStore, Ingest } from "../../content/content.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { FetchOptions, RemoteOptions } from "../distribution.ts";
import { bodyChunks } from "../http/body.ts";
import type { Connections } from "../http/connections.ts";
import { readRegistryError } from "../http/registry-error.ts";
import { type Attempt, retrying } from "../http/retry.ts";
import { cancelled, type Exchange, type Transport } from "../http/transport.ts";
import { defaultRanges, isMetadataAddress, type RegistryConfig } from "../registry-config.ts";
import { isRange, type Open, RangedTransfer, worthwhile } from "./ranges.ts";

interface Deps {
  readonly connections: Connections;
  readonly transport: Transport;
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly config: Pick<RegistryConfig, "maxDownloadAttempts" | "ranges">;
  /** Permits for connections beyond each blob's first, over all blobs. */
  readonly extras: Semaphore;
  readonly systemAuthorities: string | undefined;
}

/**
 * Brings one blob into content. Every attempt continues the partial an earlier one left, in this process or before it; bytes
 * that turn out wrong are thrown away, and if they were continued from an earlier attempt the blob is fetched once more whole.
 */
export async function fetchBlob(
  deps: Deps,
  ref: Reference,
  blob: Descriptor,
  credentials: Credentials,
  options: RemoteOptions & FetchOptions,
): Promise<void> {
  options.lease?.add(blob.digest);
  const { signal, onTrial } = options;
  const use = { push: false, signal, onTrial, blob: true, about: `blob ${blob.digest}` };
  const attempt = async (control: Attempt) => {
    if (deps.content.stat(blob.digest)) return options.onProgress?.(blob.size, blob.size);
    const fromRegistry = async () =>
      await deps.connections.use(ref, credentials, use, async (session) => {
        const path = `/v2/${session.repository}/blobs/${blob.digest}`;
        await receive(deps, blob, options, control, (request) => session.send({ ...request, path }));
      });
    try {
      await fromRegistry();
    } catch (error) {
      if (!isForeignLayerType(blob.mediaType) || !isCode(error, "not-found")) throw error;
      await fromElsewhere(deps, blob, options, control, error);
    }
  };
  try {
    const attempts = deps.config.maxDownloadAttempts;
    await retrying(deps, { signal, onRetry: options.onRetry, what: "download", attempts }, attempt);
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal);
    throw error;
  }
}

/** A foreign layer from the places its descriptor names, without credentials (image-spec, descriptor.md, "urls"). */
async function fromElsewhere(
  deps: Deps,
  blob: Descriptor,
  options: RemoteOptions & FetchOptions,
  control: Attempt,
  missing: unknown,
): Promise<void> {
  let last = missing;
  for (const url of blob.urls ?? []) {
    if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) continue;
    if (isMetadataAddress(new URL(url))) {
      const text = `refused to fetch layer ${blob.digest} from the link-local address ${new URL(url).host}`;
      last = new TugError("forbidden", text);
      continue;
    }
    try {
      return await receive(deps, blob, options, control, async (request) => {
        const authorities = deps.systemAuthorities ? [deps.systemAuthorities] : [];
        const tls = { verify: true, authorities, client: undefined };
        const exchange = await deps.transport.send({ ...request, url, tls });
        if (request.expect.includes(exchange.response.status)) return exchange;
        throw await readRegistryError(exchange);
      });
    } catch (error) {
      if (isCode(error, "cancelled") || isCode(error, "resource-exhausted")) throw error;
      last = error;
    }
  }
  throw last;
}

async function receive(
  deps: Deps,
  blob: Descriptor,
  options: RemoteOptions & FetchOptions,
  control: Attempt,
  open: Open,
): Promise<void> {
  const { signal } = options;
  const name = `blob-${blob.digest}`;
  await using ingest = await deps.content.ingest(name, blob, signal);
  await using pieces = deps.content.pieces(name, blob);
  // Whoever held the ref before may have finished it.
  if (deps.content.stat(blob.digest)) {
    await ingest.abort();
    return options.onProgress?.(blob.size, blob.size);
  }
  const settings = { ...defaultRanges, ...deps.config.ranges };
  const large = blob.size > settings.over;
  let continued = ingest.offset > 0;
  try {
    if (large) {
      continued ||= (await pieces.list()).length > 0;
      const { onProgress } = options;
      const { extras } = deps;
      const all = { blob, ingest, pieces, open, settings, extras, control, onProgress, signal };
      await new RangedTransfer(all).run();
    } else if (ingest.offset < blob.size || blob.size === 0) {
      await transfer(blob, options, control, open, ingest);
    }
    await ingest.commit();
    if (large) await pieces.clear();
  } catch (error) {
    // What filled the disk gives its room back, whichever of the files met its end.
    if (isCode(error, "resource-exhausted")) {
      if (large) await pieces.clear();
      await ingest.abort();
    }
    if (!isCode(error, "data-loss")) throw error;
    if (large) await pieces.clear();
    await ingest.abort();
    // Wrong bytes may come from the earlier attempt that was continued, e.g. one a power cut left half written.
    if (!continued) throw error;
    throw new TugError("unavailable", error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

async function transfer(
  blob: Descriptor,
  options: RemoteOptions & FetchOptions,
  control: Attempt,
  open: Open,
  ingest: Ingest,
): Promise<void> {
  using exchange = await openFrom(open, ingest, blob.size, options.signal);
  const start = ingest.offset;
  options.onProgress?.(start, blob.size);
  for await (const chunk of bodyChunks(exchange)) {
    await ingest.write(chunk);
    if (ingest.offset - start >= worthwhile) control.progressed();
    options.onProgress?.(ingest.offset, blob.size);
  }
  // A body that ended where its own head said is a wrong blob, which the commit finds; any other was cut off.
  if (ingest.offset < blob.size && exchange.response.headers.get("content-length") === null) {
    throw new TugError(
      "unavailable",
      `${blob.digest}: unexpected EOF after ${ingest.offset} of ${blob.size} bytes`,
    );
  }
}

/** Asks for what is missing; a server that cannot continue makes the ingest start again (RFC 9110, 14.2). */
async function openFrom(
  open: Open,
  ingest: Ingest,
  size: number,
  signal: AbortSignal | undefined,
): Promise<Exchange> {
  const common = { method: "GET", signal, allowDowngrade: true } as const;
  const from = ingest.offset;
  if (from === 0) return await open({ ...common, expect: [200] });
  const exchange = await open({ ...common, headers: { Range: `bytes=${from}-` }, expect: [200, 206, 416] });
  const { status } = exchange.response;
  if (isRange(exchange, { at: from }, size)) return exchange;
  await ingest.reset();
  if (status === 200) return exchange;
  exchange[Symbol.dispose]();
  return await open({ ...common, expect: [200] });
}
