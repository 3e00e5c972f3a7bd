import type { Clock } from "../../../base/lib/clock.ts";
import { decompress } from "../../../base/lib/compression/compression.ts";
import { messageOf, TugError } from "../../../base/lib/errors.ts";
import type { ContentStore, Lease } from "../../../core/content/content.ts";
import { Activity } from "../../activity.ts";
import { canonicalJson } from "../../canonical.ts";
import type { InlineCache } from "../../export/exporter.ts";
import { flag } from "../../export/format.ts";
import type { PlannedTarget } from "../../plan.ts";
import type { BuildRequest, CacheRef } from "../../request.ts";
import type { SolvedStep, SolveOptions } from "../../solve.ts";
import type { CacheMounts } from "../mounts/cache-mounts.ts";
import { ImportedCache, type ImportedCacheDeps } from "./imported.ts";
import { inlineCache } from "./inline.ts";
import { localCache } from "./local.ts";
import { cacheReference, type FoundCache, registryCache, type SourceDeps, storedCache } from "./sources.ts";
import { type CacheWriterDeps, type Writing, writeCache } from "./writer.ts";

export interface BuildCachesDeps extends ImportedCacheDeps, SourceDeps, CacheWriterDeps {
  readonly content: ContentStore;
  readonly mounts: Pick<CacheMounts, "import" | "list" | "export">;
  readonly records: CacheWriterDeps["records"] & { hold(id: string): Disposable };
  readonly clock: Clock;
  readonly collect: () => Promise<void>;
}

/** Caches of a build that are elsewhere. What they were asked for in this build is kept until it is disposed. */
export interface OpenedCaches extends Disposable {
  readonly importers: readonly ImportedCache[];
  /** The graph is solved: everything that an export needs is held from now on. */
  solved(steps: readonly SolvedStep[]): void;
  /** What goes into images' configs, if that was asked for. */
  readonly inline: InlineCache | undefined;
  /** `--cache-to`, when the outputs are written. */
  export(targets: readonly PlannedTarget[]): Promise<Readonly<Record<string, string>>>;
}

/** `--cache-from` and `--cache-to`. Nothing is a candidate for a build but what it names. */
export class BuildCaches {
  readonly #deps: BuildCachesDeps;

  constructor(deps: BuildCachesDeps) {
    this.#deps = deps;
  }

  /** Looks the caches up; one that is not there is told and left out. */
  async open(request: BuildRequest, options: SolveOptions): Promise<OpenedCaches> {
    using stack = new DisposableStack();
    for (const ref of request.cacheTo) check(ref);
    const lease = stack.use(this.#deps.content.lease());
    const importers: ImportedCache[] = [];
    // Clients name a cache to the builder and to its frontend.
    const wanted = new Map(request.cacheFrom.map((ref) => [canonicalJson(ref), ref]));
    for (const ref of wanted.values()) importers.push(...(await this.#import(ref, lease, options)));
    let steps: readonly SolvedStep[] = [];
    const inline = request.cacheTo.some(({ type }) => type === "inline")
      ? inlineCache(() => steps, request.squash)
      : undefined;
    const held = stack.move();
    return {
      importers,
      inline,
      solved: (all) => {
        steps = all;
        for (const { key } of all) {
          const record = this.#deps.records.find(key);
          if (record) held.use(this.#deps.records.hold(record.id));
        }
      },
      export: (targets) =>
        this.#export(request, { steps, imported: importers, targets: verticesOf(targets) }, options),
      [Symbol.dispose]: () => held.dispose(),
    };
  }

  async #import(ref: CacheRef, lease: Lease, options: SolveOptions): Promise<readonly ImportedCache[]> {
    const { progress, session, signal } = options;
    const name = ref.attributes["ref"] ?? ref.attributes["src"] ?? ref.type;
    const step = new Activity(this.#deps.clock, progress, `importing cache manifest from ${name}`);
    try {
      const found = await this.#find(ref, { session, signal, lease });
      const caches = found.map(({ source, document }) => new ImportedCache(this.#deps, source, document));
      if (flag(ref.attributes, "mounts", false))
        for (const cache of caches) await this.#importMounts(cache, signal, lease);
      step.done();
      return caches;
    } catch (error) {
      step.done(error);
      signal.throwIfAborted();
      // A cache is only a help: who has none builds without.
      if (!(error instanceof TugError) || error.code === "internal") throw error;
      const short = `failed to import the cache from ${name}: ${messageOf(error)}`;
      const warning = { short, detail: [], url: "", location: undefined, vertex: undefined };
      progress.warning(warning);
      return [];
    }
  }

  async #find(
    { type, attributes }: CacheRef,
    options: Pick<SolveOptions, "session" | "signal"> & { readonly lease: Lease },
  ): Promise<readonly FoundCache[]> {
    if (type === "image") return (await storedCache(this.#deps, attributes)) ?? [];
    if (type === "registry")
      return (
        (await storedCache(this.#deps, attributes)) ?? (await registryCache(this.#deps, attributes, options))
      );
    if (type === "local") return await localCache(this.#deps, attributes, options);
    throw new TugError(
      "invalid-argument",
      "type=inline is for --cache-to: to read such a cache name its image, type=registry,ref=IMAGE",
    );
  }

  /** What is here already is fresher and stays. */
  async #importMounts({ source, document }: ImportedCache, signal: AbortSignal, lease: Lease): Promise<void> {
    const { content, mounts } = this.#deps;
    for (const { identity, description, blob } of document.mounts) {
      const tar = async function* () {
        lease.add(blob.digest);
        if (!content.stat(blob.digest)) await source.fetch(blob, { signal, lease });
        yield* decompress(content.stream(blob.digest));
      };
      await mounts.import({ ...identity, description }, tar(), signal);
    }
  }

  async #export(
    { cacheTo }: BuildRequest,
    made: Pick<Writing, "steps" | "imported" | "targets">,
    options: SolveOptions,
  ): Promise<Readonly<Record<string, string>>> {
    const response: Record<string, string> = {};
    for (const ref of cacheTo) {
      if (ref.type === "inline") continue;
      const step = new Activity(this.#deps.clock, options.progress, `exporting cache to ${ref.type}`);
      try {
        Object.assign(response, await writeCache(this.#deps, ref, { ...made, step, options }));
        step.done();
      } catch (error) {
        step.done(error);
        options.signal.throwIfAborted();
        if (!flag(ref.attributes, "ignore-error", false)) throw error;
      }
    }
    if (cacheTo.length > 0) await this.#deps.collect();
    return response;
  }
}

const verticesOf = (targets: readonly PlannedTarget[]) =>
  new Set(
    targets.flatMap(({ layers, root }) => (root ? [...layers, root] : layers).map(({ digest }) => digest)),
  );

/** Before anything is built. */
function check({ type, attributes }: CacheRef): void {
  if (type === "registry") cacheReference(attributes);
  if (type === "local" && !attributes["dest"])
    throw new TugError("invalid-argument", "a cache of type local needs a directory: type=local,dest=DIR");
  const mode = attributes["mode"];
  if (mode !== undefined && mode !== "min" && mode !== "max")
    throw new TugError("invalid-argument", `invalid cache mode ${JSON.stringify(mode)}: min or max`);
  if (!flag(attributes, "image-manifest", true))
    throw new TugError(
      "not-implemented",
      "image-manifest=false: caches are written as image manifests only, which every registry takes",
    );
}
