import type { DiffId, Digest } from "../../../base/lib/ids.ts";
import { parseDigest } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import {
  asObject,
  type Fields,
  malformed,
  optionalArray,
  optionalNumber,
  optionalString,
  optionalStrings,
  parseObject,
} from "../../../base/spec/oci/fields.ts";
import { parseDescriptor } from "../../../base/spec/oci/parse.ts";
import type { CacheIdentity } from "../mounts/cache-record.ts";

/**
 * Config of a cache's manifest, whose layers are the cache's blobs. Not BuildKit's document: there a step is found by the digests of its
 * whole graph, here by keys that already are digests of everything it depends on, so a list of keys says it all.
 */
export const cacheConfigType = "application/vnd.tug.buildcache.config.v1+json";
export const cacheMountType = "application/vnd.tug.buildcache.mount.v1.tar+gzip";

/** Member of an image's config that an inline cache is (BuildKit's name for it). */
export const inlineMember = "moby.buildkit.cache.v0";

/** Results that somebody else has. */
export interface CacheDocument {
  readonly layers: readonly CacheLayer[];
  readonly steps: readonly CacheStep[];
  readonly mounts: readonly CacheMount[];
}

export interface CacheLayer {
  readonly blob: Descriptor;
  readonly diffId: DiffId;
  /** Index of the layer below; -1: none. */
  readonly parent: number;
}

export interface CacheStep {
  /** Its result's key. */
  readonly key: Digest;
  /** Keys that lead to it. */
  readonly keys: readonly Digest[];
  /** Index of the result's top layer; -1: the empty tree; undefined: only the key is known. */
  readonly layer: number | undefined;
}

export interface CacheMount {
  readonly identity: CacheIdentity;
  readonly description: string;
  readonly blob: Descriptor;
}

/** overlayfs stacks no more (fs/overlayfs, OVL_MAX_STACK). */
const maxDepth = 500;

/** Bytes of such a document. */
export const documentLimit = 32 << 20;

/** Reads what somebody wrote; throws data-loss for what is none. Layers point down only, so no chain is a circle. */
export function parseCacheDocument(bytes: Uint8Array): CacheDocument {
  const from = parseObject(bytes, "build cache", documentLimit);
  const layers = entries(from, "layers").map(
    (entry, index): CacheLayer => ({
      blob: parseDescriptor(entry["blob"], "layer"),
      diffId: digestAt(entry, "diffId") as string as DiffId,
      parent: indexAt(entry, "parent", index) ?? -1,
    }),
  );
  const depths: number[] = [];
  for (const { parent } of layers) {
    const depth = (depths[parent] ?? 0) + 1;
    if (depth > maxDepth) throw malformed(`invalid build cache: more than ${maxDepth} layers on each other`);
    depths.push(depth);
  }
  return {
    layers,
    steps: entries(from, "steps").map((entry) => parseStep(entry, layers.length)),
    mounts: entries(from, "mounts").map((entry) => ({
      identity: parseIdentity(asObject(entry["identity"], "cache mount")),
      description: optionalString(entry, "description", "cache mount") ?? "",
      blob: parseDescriptor(entry["blob"], "cache mount"),
    })),
  };
}

/** Of an image's config: layers are the image's own, by their place. */
export function parseInlineSteps(text: string, layers: number): readonly CacheStep[] {
  const from = parseObject(Buffer.from(text, "base64"), "inline cache", documentLimit);
  return entries(from, "steps").map((entry) => parseStep(entry, layers));
}

export function inlineText(steps: readonly CacheStep[]): string {
  return Buffer.from(JSON.stringify({ steps })).toString("base64");
}

function parseStep(entry: Fields, layers: number): CacheStep {
  const keys = (optionalStrings(entry, "keys", "step") ?? []).map((text) => parseDigest(text));
  return { key: digestAt(entry, "key"), keys, layer: indexAt(entry, "layer", layers) };
}

function parseIdentity(from: Fields): CacheIdentity {
  const number = (name: string) => {
    const value = optionalNumber(from, name, "cache mount") ?? 0;
    if (!Number.isSafeInteger(value) || value < 0 || value > 0xffffffff)
      throw malformed(`invalid cache mount: ${name} ${value}`);
    return value;
  };
  return {
    id: optionalString(from, "id", "cache mount") ?? "",
    base: optionalString(from, "base", "cache mount") ?? "",
    mode: number("mode"),
    uid: number("uid"),
    gid: number("gid"),
  };
}

function entries(from: Fields, name: string): readonly Fields[] {
  return (optionalArray(from, name, "build cache") ?? []).map((entry) => asObject(entry, name));
}

function digestAt(from: Fields, name: string): Digest {
  const text = optionalString(from, name, "build cache");
  if (text === undefined) throw malformed(`invalid build cache: ${name} is missing`);
  try {
    return parseDigest(text);
  } catch (error) {
    throw malformed(`invalid build cache: ${name} is no digest`, error);
  }
}

function indexAt(from: Fields, name: string, below: number): number | undefined {
  const value = optionalNumber(from, name, "build cache");
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || value < -1 || value >= below)
    throw malformed(`invalid build cache: ${name} ${value} is no layer`);
  return value;
}
