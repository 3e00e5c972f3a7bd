import { abortable } from "../../base/lib/abort.ts";
import type { Clock } from "../../base/lib/clock.ts";
import { codeOf, isCode, messageOf, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { KeyedMutex } from "../../base/lib/mutex.ts";
import { Digester, splitDigest } from "../../base/spec/oci/digest.ts";
import { parsePushedManifest } from "../manifest-document.ts";
import type { RegistryMetrics } from "../metrics.ts";
import { type ManifestReference, parseRepositoryName, type RepositoryName } from "../names.ts";
import { isReferenced, linkBlob, storedBlob } from "../records/blobs.ts";
import { manifestByDigest, manifestByTag, putManifest } from "../records/manifests.ts";
import type { Records } from "../records/records.ts";
import { SpecError } from "../spec-error.ts";
import type { BlobReader, BlobStorage } from "../storage/storage.ts";
import { Fill } from "./fill.ts";
import type { PullThrough } from "./pull-through.ts";
import { TooManyRequests, type Upstream } from "./upstream.ts";

/** A part of the names that comes from another registry. */
export interface CachedRegistry {
  /** First components of the repositories' names, "hub"; "" is every repository. */
  readonly prefix: string;
  /** Host in the names that clients use, "docker.io": what `ns` says. */
  readonly host: string;
  readonly upstream: Upstream;
  /** Milliseconds a tag is served without asking upstream again. */
  readonly tagTtlMs: number;
}

interface Deps {
  readonly registries: readonly CachedRegistry[];
  readonly records: Records;
  readonly storage: BlobStorage;
  readonly locks: KeyedMutex;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

/** An upstream that did not answer is left alone so long while there is something to serve. */
const restMs = 15_000;
/** With something to serve, upstream has this long to answer. */
const patienceMs = 10_000;
const maxRemembered = 10_000;
/** Lists of tags in memory; a large one is megabytes. */
const maxLists = 16;

/** A pull-through cache: asks upstream what a tag means, brings what is not here, and serves what it has when upstream cannot be asked. */
export class Cache implements PullThrough, AsyncDisposable {
  readonly #deps: Deps;
  readonly #fills = new Map<string, Fill>();
  readonly #refreshes = new Map<string, Promise<"fresh" | "stale">>();
  /** Until when a tag need not be asked for. */
  readonly #checked = new Map<string, number>();
  readonly #lists = new Map<string, { readonly tags: readonly string[]; readonly until: number }>();
  readonly #restsUntil = new Map<CachedRegistry, number>();
  readonly #stop = new AbortController();
  constructor(deps: Deps) {
    this.#deps = deps;
  }

  mirrors(name: RepositoryName): boolean {
    return this.#find(name) !== undefined;
  }

  inNamespace(name: RepositoryName, namespace: string): RepositoryName | undefined {
    const registry = this.#deps.registries.find((each) => each.host === namespace);
    if (!registry || registry.prefix === "") return undefined;
    return parseRepositoryName(`${registry.prefix}/${name}`);
  }

  async refresh(
    name: RepositoryName,
    reference: ManifestReference,
    signal: AbortSignal,
  ): Promise<"fresh" | "stale"> {
    const found = this.#find(name);
    if (!found) return "fresh";
    if (reference.kind === "digest" && manifestByDigest(this.#deps.records, name, reference.digest))
      return "fresh";
    const key = `${name} ${reference.kind === "digest" ? reference.digest : reference.tag}`;
    let refresh = this.#refreshes.get(key);
    if (!refresh) {
      refresh = this.#refresh(found, name, reference, key).finally(() => this.#refreshes.delete(key));
      this.#refreshes.set(key, refresh);
    }
    return await abortable(refresh, signal);
  }

  async listTags(
    name: RepositoryName,
    page: { readonly last: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined> {
    const found = this.#find(name);
    if (!found || (this.#restsUntil.get(found.registry) ?? 0) > this.#deps.clock.now()) return undefined;
    try {
      const sorted = await this.#allTags(found, name, signal);
      const first = sorted.findIndex((tag) => tag > page.last);
      return first < 0 ? [] : sorted.slice(first, first + page.limit);
    } catch (error) {
      if (isCode(error, "not-found")) return undefined;
      if (isCode(error, "unauthorized") || isCode(error, "forbidden")) throw told(error);
      this.#deps.log.warn("upstream's tags cannot be listed", { name, error: messageOf(error) });
      return undefined;
    }
  }

  async statBlob(
    name: RepositoryName,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<{ readonly size: number } | undefined> {
    const found = this.#find(name);
    if (!found) return undefined;
    const here = this.#adopt(name, digest);
    if (here) return here;
    try {
      const size = await found.registry.upstream.blobSize(found.path, digest, signal);
      return size === undefined ? undefined : { size };
    } catch (error) {
      if (isCode(error, "not-found")) return undefined;
      throw told(error);
    }
  }

  async openBlob(name: RepositoryName, digest: Digest, signal: AbortSignal): Promise<BlobReader | undefined> {
    const found = this.#find(name);
    if (!found) return undefined;
    if (this.#adopt(name, digest)) return await this.#deps.storage.open(digest);
    const key = `${found.registry.prefix} ${digest}`;
    let fill = this.#fills.get(key);
    if (!fill) {
      this.#deps.metrics.count("cache_misses");
      fill = this.#fill(found, name, digest);
      this.#fills.set(key, fill);
      const forget = () => void this.#fills.delete(key);
      fill.finished.then(forget, (error: unknown) => {
        forget();
        if (!isCode(error, "not-found"))
          this.#deps.log.warn("a blob was not cached", { name, digest, error });
      });
    }
    try {
      return await fill.reader(signal);
    } catch (error) {
      if (isCode(error, "not-found")) return undefined;
      throw told(error);
    }
  }

  /** Ends transfers; what came is kept and continued by the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new TugError("unavailable", "the registry is shutting down"));
    await Promise.allSettled([
      ...this.#refreshes.values(),
      ...[...this.#fills.values()].map((each) => each.finished),
    ]);
  }

  /** All tags of upstream in their order; kept for as long as a tag is, so that a client that pages does not ask for them each time. */
  async #allTags(
    found: { readonly registry: CachedRegistry; readonly path: string },
    name: RepositoryName,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { clock } = this.#deps;
    const kept = this.#lists.get(name);
    if (kept && kept.until > clock.now()) return kept.tags;
    const limited = AbortSignal.any([signal, this.#stop.signal, AbortSignal.timeout(patienceMs)]);
    const tags = [...(await found.registry.upstream.tags(found.path, limited))].sort();
    this.#lists.delete(name);
    this.#lists.set(name, { tags, until: clock.now() + found.registry.tagTtlMs });
    trim(this.#lists, maxLists);
    return tags;
  }

  #find(name: RepositoryName): { readonly registry: CachedRegistry; readonly path: string } | undefined {
    let best: CachedRegistry | undefined;
    for (const each of this.#deps.registries) {
      const inside = each.prefix === "" || name.startsWith(`${each.prefix}/`);
      if (inside && (!best || each.prefix.length > best.prefix.length)) best = each;
    }
    if (!best) return undefined;
    return { registry: best, path: best.prefix === "" ? name : name.slice(best.prefix.length + 1) };
  }

  /** A blob that came with another repository, and that a manifest of this one names: upstream need not send it again. */
  #adopt(name: RepositoryName, digest: Digest): { readonly size: number } | undefined {
    const { records, metrics } = this.#deps;
    const stored = storedBlob(records, digest);
    if (!stored || !isReferenced(records, name, digest)) return undefined;
    linkBlob(records, name, stored);
    metrics.count("cache_hits");
    return stored;
  }

  #fill(
    found: { readonly registry: CachedRegistry; readonly path: string },
    name: RepositoryName,
    digest: Digest,
  ): Fill {
    const { storage, clock, locks, records } = this.#deps;
    const { signal } = this.#stop;
    return new Fill({
      digest,
      storage,
      clock,
      signal,
      open: (from) => found.registry.upstream.blob(found.path, digest, from, signal),
      askSize: () => found.registry.upstream.blobSize(found.path, digest, signal).catch(() => undefined), // then its end tells
      commit: (ingest) =>
        locks.run(digest, async () => {
          const size = ingest.offset;
          await ingest.commit(digest);
          linkBlob(records, name, { digest, size });
        }),
    });
  }

  async #refresh(
    found: { readonly registry: CachedRegistry; readonly path: string },
    name: RepositoryName,
    reference: ManifestReference,
    key: string,
  ): Promise<"fresh" | "stale"> {
    const { records, clock, metrics, log } = this.#deps;
    const { registry } = found;
    const here = reference.kind === "tag" ? manifestByTag(records, name, reference.tag) : undefined;
    const now = clock.now();
    if (here && (this.#checked.get(key) ?? 0) > now) {
      metrics.count("cache_hits");
      return "fresh";
    }
    if (here && (this.#restsUntil.get(registry) ?? 0) > now) {
      metrics.count("cache_stale");
      return "stale";
    }
    try {
      const limits = here ? [this.#stop.signal, AbortSignal.timeout(patienceMs)] : [this.#stop.signal];
      await this.#update(found, name, reference, here?.digest, AbortSignal.any(limits));
      this.#restsUntil.delete(registry);
      this.#remember(key, clock.now() + registry.tagTtlMs);
      return "fresh";
    } catch (error) {
      const noAnswer = ["unavailable", "cancelled", "internal", "data-loss"].includes(codeOf(error));
      if (!here || !noAnswer || this.#stop.signal.aborted) throw told(error);
      log.warn("upstream cannot be asked, serving what is here", { name, error: messageOf(error) });
      this.#restsUntil.set(registry, clock.now() + restOf(error));
      metrics.count("cache_stale");
      return "stale";
    }
  }

  /** Brings the manifest unless it is the one that is here. */
  async #update(
    found: { readonly registry: CachedRegistry; readonly path: string },
    name: RepositoryName,
    reference: ManifestReference,
    have: Digest | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { records, storage, locks, metrics } = this.#deps;
    const { upstream } = found.registry;
    let wanted: string;
    if (reference.kind === "digest") wanted = reference.digest;
    else {
      const now = await upstream.digestOf(found.path, reference.tag, signal);
      if (now !== undefined && now === have) {
        metrics.count("cache_hits");
        return;
      }
      wanted = now ?? reference.tag;
    }
    metrics.count("cache_misses");
    const { bytes, mediaType } = await upstream.manifest(found.path, wanted, signal);
    const { record, needs } = readUpstreamManifest(bytes, mediaType);
    const asked = wanted.includes(":") ? (wanted as Digest) : undefined;
    const digester = new Digester(asked ? splitDigest(asked).algorithm : "sha256");
    digester.update(bytes);
    const digest = digester.digest();
    if (asked !== undefined && digest !== asked) {
      throw new TugError("data-loss", `upstream sent ${digest} for ${asked}`);
    }
    const tags = reference.kind === "tag" ? [reference.tag] : [];
    await locks.run(digest, async () => {
      await storage.put(digest, bytes);
      // What it names comes when somebody asks for it.
      putManifest(records, name, { ...record, digest, size: bytes.byteLength }, needs, tags, () => undefined);
    });
  }

  #remember(key: string, until: number): void {
    this.#checked.delete(key);
    this.#checked.set(key, until);
    trim(this.#checked, maxRemembered);
  }
}

/** How long an upstream is left alone: as long as it asks for, within an hour. */
function restOf(error: unknown): number {
  const seconds = error instanceof TooManyRequests ? Number(error.retryAfter ?? Number.NaN) : Number.NaN;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 3600) * 1000 : restMs;
}

/** Forgets the oldest entries over the bound. */
function trim(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

function readUpstreamManifest(bytes: Uint8Array, mediaType: string): ReturnType<typeof parsePushedManifest> {
  try {
    return parsePushedManifest(bytes, mediaType);
  } catch (error) {
    throw new TugError("data-loss", "upstream sent a manifest that is none", { cause: error });
  }
}

/** Upstream's failure as our client is told it. */
function told(error: unknown): SpecError {
  if (error instanceof SpecError) return error;
  const message = `upstream: ${messageOf(error)}`;
  const more = { cause: error };
  if (error instanceof TooManyRequests) {
    return new SpecError("TOOMANYREQUESTS", message, undefined, {
      ...more,
      headers: { "Retry-After": error.retryAfter ?? "60" },
    });
  }
  switch (codeOf(error)) {
    case "not-found":
      return new SpecError("MANIFEST_UNKNOWN", "manifest unknown to registry", undefined, more);
    case "unauthorized":
    case "forbidden":
      return new SpecError("DENIED", message, undefined, more);
    default:
      return new SpecError("UNAVAILABLE", message, undefined, { ...more, status: 502 });
  }
}
