import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { abortable } from "../../../base/lib/abort.ts";
import type { Clock } from "../../../base/lib/clock.ts";
import { conflict, messageOf, notFound } from "../../../base/lib/errors.ts";
import { randomId } from "../../../base/lib/ids.ts";
import type { Log } from "../../../base/lib/log.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { AT_FDCWD, closeFd, O, openat, reopen } from "../../../base/sys/at.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import { lstatat } from "../../../base/sys/stat.ts";
import { volumeContents } from "../../../core/volume/contents.ts";
import { TreeCopy } from "../../../core/volume/copy-tree.ts";
import { readTree, writeTree } from "./cache-archive.ts";
import { type CacheIdentity, type CacheRecord, cacheKey, parseCacheRecord } from "./cache-record.ts";

export interface CacheRequest {
  readonly id: string;
  /** shared: with everybody who shares it; private: another directory when somebody has it; locked: waits until nobody has it. */
  readonly sharing: "shared" | "private" | "locked";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly description: string;
  /** What a new one begins with: `tree` opens it (O_PATH); the caller keeps it in place until `acquire` has returned. */
  readonly base: { readonly key: string; readonly tree: () => number } | undefined;
  /** Who asks: one step may mount a cache twice. */
  readonly holder: string;
  /** Of a build without cache, its session: what it finds that was not begun for it gives way to a new one, as with BuildKit. */
  readonly freshFor?: string | undefined;
}

export interface HeldCache extends Disposable {
  /** The directory; whoever holds it may write to it. */
  readonly path: string;
}

/** A cache mount as `builder du` lists it. */
export interface CacheMountInfo extends CacheRecord {
  /** Name of this one: several have one id when private ones were needed at a time. */
  readonly name: string;
  readonly size: number;
  readonly inUse: boolean;
  readonly shared: boolean;
}

interface Cache {
  readonly name: string;
  readonly key: string;
  record: CacheRecord;
  readonly holders: Map<string, number>;
  /** As the request has it for which it was made. */
  readonly freshFor?: string | undefined;
  /** Held by somebody who does not share it. */
  exclusive: boolean;
}

const RECORD = "cache.json";
const DATA = "data";
/** Names that are being made or taken away: no cache, and removed by the next start. */
const NEW = ".new-";
const GONE = ".gone-";

/**
 * Cache mounts: directories below the data root that RUN steps share from build to build. Each is `<root>/<key>-<n>/data` with its record
 * beside it; a directory with a readable record is a cache, anything else is what a crash left. They are made aside and renamed into
 * place, and renamed away before they are removed, so there is never half of one. What is in them may be lost at any time and nobody
 * fails for it, hence nothing is synced.
 */
export class CacheMounts {
  readonly #root: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #caches = new Map<string, Cache>();
  readonly #choosing = new KeyedMutex();
  /** Those who wait for a cache to become free, by key. */
  readonly #waiting = new Map<string, Set<() => void>>();

  /** `root` must be writable by root alone. Call `recover` first. */
  constructor(deps: { readonly root: string; readonly clock: Clock; readonly log: Log }) {
    this.#root = deps.root;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** Reads what is there, and removes what is no cache. */
  async recover(): Promise<void> {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#root)) {
      const record = name.startsWith(".") ? undefined : this.#read(name);
      const key = name.slice(0, name.lastIndexOf("-"));
      if (record && cacheKey(record) === key)
        this.#caches.set(name, { name, key, record, holders: new Map(), exclusive: false });
      else await removeDirectory(join(this.#root, name));
    }
  }

  /** Waits only where the request says so; rejects with the signal's reason. */
  async acquire(request: CacheRequest, signal: AbortSignal): Promise<HeldCache> {
    const identity: CacheIdentity = { ...request, base: request.base?.key ?? "" };
    const key = cacheKey(identity);
    for (;;) {
      signal.throwIfAborted();
      // Registered before looking: what becomes free in between is not missed.
      const freed = this.#freed(key);
      try {
        const cache = await this.#choosing.run(key, async () => {
          await this.#makeWay(key, request);
          const found = this.#choose(key, request);
          if (found === "wait") return undefined;
          const taken = found ?? (await this.#make(key, identity, request));
          this.#hold(taken, request);
          return taken;
        });
        if (cache) return this.#held(cache, request.holder);
        await abortable(freed.promise, signal);
      } finally {
        freed.forget();
      }
    }
  }

  /** All of them, with their sizes counted where they were used since. */
  async list(): Promise<readonly CacheMountInfo[]> {
    const infos: CacheMountInfo[] = [];
    for (const cache of [...this.#caches.values()]) {
      const size = await this.#size(cache);
      const inUse = cache.holders.size > 0;
      infos.push({ ...cache.record, name: cache.name, size, inUse, shared: inUse && !cache.exclusive });
    }
    return infos.sort((a, b) => a.created - b.created || (a.name < b.name ? -1 : 1));
  }

  /** Removes one; false when somebody has it now, or when there is none of that name. */
  async remove(name: string): Promise<boolean> {
    const cache = this.#caches.get(name);
    if (!cache) return false;
    return await this.#choosing.run(cache.key, () => this.#takeAway(cache));
  }

  async #takeAway(cache: Cache): Promise<boolean> {
    if (cache.holders.size > 0 || !this.#caches.delete(cache.name)) return false;
    const gone = join(this.#root, `${GONE}${randomId().slice(0, 16)}`);
    renameSync(join(this.#root, cache.name), gone);
    await removeDirectory(gone);
    return true;
  }

  /** What another build has right now stays. */
  async #makeWay(key: string, { freshFor }: CacheRequest): Promise<void> {
    if (freshFor === undefined) return;
    const old = [...this.#caches.values()].filter((one) => one.key === key && one.freshFor !== freshFor);
    for (const cache of old) await this.#takeAway(cache);
  }

  /** What a cache holds, as a tar. It is kept from being removed meanwhile; steps may go on writing to it. */
  async *export(name: string): AsyncGenerator<Uint8Array, void, undefined> {
    const cache = this.#caches.get(name);
    if (!cache) throw notFound(`no such cache mount: ${name}`);
    const holder = `export-${randomId()}`;
    cache.holders.set(holder, 1);
    try {
      yield* readTree(this.#data(cache.name));
    } finally {
      this.#release(cache, holder, false);
    }
  }

  /**
   * A cache from a tar, under the identity that its record gives it. What is here already is fresher and stays: then nothing is read
   * and the answer is false. A tar that is cut short or no tar leaves nothing.
   */
  async import(
    record: CacheIdentity & Pick<CacheRecord, "description">,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const key = cacheKey(record);
    const exists = () => [...this.#caches.values()].some((one) => one.key === key);
    if (exists()) return false;
    return await this.#choosing.run(key, async () => {
      if (exists()) return false;
      await this.#create(key, record, (data) => writeTree(data, tar, signal));
      return true;
    });
  }

  #data(name: string): string {
    return join(this.#root, name, DATA);
  }

  /** The one to take; undefined: a new one. */
  #choose(key: string, { sharing, holder }: CacheRequest): Cache | "wait" | undefined {
    const all = [...this.#caches.values()]
      .filter((one) => one.key === key)
      .sort((a, b) => number(a.name) - number(b.name));
    const own = all.find((one) => one.holders.has(holder));
    if (own) return own;
    if (sharing === "shared") {
      const shared = all.find((one) => one.holders.size > 0 && !one.exclusive);
      if (shared) return shared;
    }
    const free = all.find((one) => one.holders.size === 0);
    if (free || all.length === 0) return free;
    return sharing === "locked" ? "wait" : undefined;
  }

  #make(key: string, identity: CacheIdentity, request: CacheRequest): Promise<Cache> {
    const record = { ...identity, description: request.description };
    const fill = async (data: string) => {
      if (request.base) return await copyBase(request.base.tree(), data);
      chownSync(data, request.uid, request.gid);
      chmodSync(data, request.mode & 0o7777);
    };
    return this.#create(key, record, fill, request.freshFor);
  }

  async #create(
    key: string,
    identity: CacheIdentity & Pick<CacheRecord, "description">,
    fill: (data: string) => Promise<void>,
    freshFor?: string,
  ): Promise<Cache> {
    const { id, base, mode, uid, gid, description } = identity;
    const now = this.#clock.now();
    const record = { id, base, mode, uid, gid, description, created: now, lastUsed: now, uses: 0 };
    const making = join(this.#root, `${NEW}${randomId().slice(0, 16)}`);
    const data = join(making, DATA);
    try {
      mkdirSync(data, { recursive: true, mode: 0o755 });
      chmodSync(making, 0o700);
      await fill(data);
      writeFileSync(join(making, RECORD), JSON.stringify(record));
      const taken = new Set([...this.#caches.values()].map(({ name }) => name));
      let at = 0;
      while (taken.has(`${key}-${at}`)) at++;
      const name = `${key}-${at}`;
      renameSync(making, join(this.#root, name));
      const cache: Cache = { name, key, record, holders: new Map(), exclusive: false, freshFor };
      this.#caches.set(name, cache);
      return cache;
    } catch (error) {
      await removeDirectory(making);
      throw error;
    }
  }

  #hold(cache: Cache, { holder, sharing }: CacheRequest): void {
    cache.exclusive ||= sharing !== "shared";
    cache.holders.set(holder, (cache.holders.get(holder) ?? 0) + 1);
  }

  #held(cache: Cache, holder: string): HeldCache {
    let held = true;
    return {
      path: this.#data(cache.name),
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#release(cache, holder, true);
      },
    };
  }

  #release(cache: Cache, holder: string, used: boolean): void {
    const count = (cache.holders.get(holder) ?? 1) - 1;
    if (count > 0) cache.holders.set(holder, count);
    else cache.holders.delete(holder);
    if (used) {
      const { size: _old, ...rest } = cache.record;
      this.#write(cache, { ...rest, lastUsed: this.#clock.now(), uses: rest.uses + 1 });
    }
    if (cache.holders.size > 0) return;
    cache.exclusive = false;
    for (const wake of [...(this.#waiting.get(cache.key) ?? [])]) wake();
  }

  #freed(key: string): { readonly promise: Promise<void>; forget(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    waiting.add(resolve);
    return {
      promise,
      forget: () => {
        waiting.delete(resolve);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
      },
    };
  }

  async #size(cache: Cache): Promise<number> {
    if (cache.record.size !== undefined) return cache.record.size;
    const { uses } = cache.record;
    const size = Math.max(0, await volumeContents.usage(this.#data(cache.name)));
    // Counted while somebody wrote, or used since: true for this answer only.
    if (cache.holders.size === 0 && cache.record.uses === uses && this.#caches.has(cache.name))
      this.#write(cache, { ...cache.record, size });
    return size;
  }

  #read(name: string): CacheRecord | undefined {
    try {
      return parseCacheRecord(readFileSync(join(this.#root, name, RECORD), "utf8"));
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw error;
    }
  }

  /** A record that cannot be written (a full disk) is one that tells of earlier uses. */
  #write(cache: Cache, record: CacheRecord): void {
    cache.record = record;
    const path = join(this.#root, cache.name, RECORD);
    try {
      writeFileSync(`${path}.new`, JSON.stringify(record));
      renameSync(`${path}.new`, path);
    } catch (error) {
      this.#log.warn("the record of a cache mount was not written", {
        id: record.id,
        error: messageOf(error),
      });
    }
  }
}

/** `<key>-<n>` */
function number(name: string): number {
  return Number(name.slice(name.lastIndexOf("-") + 1));
}

/** Takes over `found`, an O_PATH descriptor. */
async function copyBase(found: number, data: string): Promise<void> {
  const open: number[] = [found];
  try {
    if (lstatat(found).kind !== "directory")
      throw conflict("a cache mount can only begin with a directory: `source` names something else");
    const from = reopen(found, O.RDONLY | O.DIRECTORY);
    open.push(from);
    const to = openat(AT_FDCWD, data, O.RDONLY | O.DIRECTORY);
    open.push(to);
    await new TreeCopy().run(from, to);
  } finally {
    for (const fd of open) closeFd(fd);
  }
}
