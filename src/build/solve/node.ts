import { abortable } from "../../base/lib/abort.ts";
import type { Clock } from "../../base/lib/clock.ts";
import { messageOf } from "../../base/lib/errors.ts";
import { type ChainId, type Digest, randomId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Semaphore } from "../../base/lib/semaphore.ts";
import type { ExecOp, Vertex } from "../graph.ts";
import type { ContentKeys, StepContext } from "../run/runner.ts";
import type { BuildSession } from "../session.ts";
import { type CacheImporter, type ImportedResult, StepFailure } from "../solve.ts";
import type { BuildCache } from "./cache.ts";
import type { HeldResult } from "./held-result.ts";
import { contentKey, contentOnly, contentParts, fastKey, isSource, sourceKey } from "./keys.ts";
import type { CacheRecord, CacheRecords } from "./records.ts";
import { StepReport } from "./report.ts";
import { keyOfSource, type Runners, recordType, snapshotOf } from "./runners.ts";
import { SharedSession } from "./shared-session.ts";
import { type SiblingRuns, siblingKey } from "./sibling-runs.ts";

export interface NodeDeps {
  readonly runners: Runners;
  readonly content: ContentKeys;
  readonly cache: BuildCache;
  readonly records: CacheRecords;
  readonly siblings: SiblingRuns;
  /** How many steps, and how many sources, are at work at once. */
  readonly steps: Semaphore;
  readonly sources: Semaphore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a step's keys lead. */
interface Found {
  /** The result's, if it is known. */
  readonly key: Digest | undefined;
  readonly keys: readonly Digest[];
  readonly imported: ImportedResult | undefined;
}

/** A build that has a node, as the node sees it. */
export interface NodeUser {
  readonly session: BuildSession;
  readonly importers: readonly CacheImporter[];
  readonly entitlements: readonly string[];
  readonly progress: Parameters<StepReport["watch"]>[0];
  /** Told at once, whatever else the build waits for. */
  failed(error: unknown): void;
}

/** What is known of a vertex before it runs. */
interface Claim {
  /** Its result's key, if what it reads comes out as it is known. */
  readonly key: Digest;
  /** No cache has heard of it, so none has heard of what reads it. */
  readonly fresh: boolean;
  readonly inputs: readonly Digest[];
  readonly keys: readonly Digest[];
  readonly imported: ImportedResult | undefined;
}

/**
 * A vertex of the builds that run now; equal ones are one node. First it claims: finds the key of its result, going to files only where keys alone do
 * not decide. Then, if somebody needs its tree, it settles: takes what is kept, or imports it, or runs. Both happen once, for all builds
 * that have it, and end when the last of them lets go.
 */
export class Node {
  readonly vertex: Vertex;
  readonly inputs: readonly Node[];
  readonly report: StepReport;
  #pin: Readonly<Record<string, string>> | undefined;
  readonly #deps: NodeDeps;
  readonly #users = new Set<NodeUser>();
  readonly #abort = new AbortController();
  #claim: Promise<Claim> | undefined;
  #settle: Promise<HeldResult> | undefined;
  /** What a copy made to find its key, until it is the result. */
  #copied: ChainId | undefined;
  /** What the node itself keeps in use. */
  readonly #holds: Disposable[] = [];
  #used: CacheRecord | undefined;
  #failed = false;

  constructor(deps: NodeDeps, vertex: Vertex, inputs: readonly Node[]) {
    this.#deps = deps;
    this.vertex = vertex;
    this.inputs = inputs;
    this.report = new StepReport(vertex, deps.clock);
  }

  /** No build has it any more, or it failed: a build that comes now needs a new one. */
  get over(): boolean {
    return this.#failed || this.#abort.signal.aborted;
  }

  attach(user: NodeUser): void {
    this.#users.add(user);
    this.report.watch(user.progress);
  }

  /** Ends it when this was the last build; resolves when all that it started has ended. */
  async detach(user: NodeUser, reason: unknown): Promise<void> {
    this.#users.delete(user);
    if (this.#users.size > 0) return this.report.unwatch(user.progress);
    this.#abort.abort(reason);
    await Promise.allSettled([this.#claim, this.#settle]);
    await this.#dropCopied();
    this.report.unwatch(user.progress);
    for (const hold of this.#holds.splice(0)) hold[Symbol.dispose]();
  }

  /** The record that was found, for counting. */
  get used(): CacheRecord | undefined {
    return this.#used;
  }

  /** The result's key when all is done: of what was brought, or of what was known without. */
  async key(): Promise<Digest> {
    return (this.#settle ? await this.#settle : await this.claim()).key;
  }

  claim(): Promise<Claim> {
    this.#claim ??= quiet(
      this.#failing(() => (isSource(this.vertex.op) ? this.#claimSource() : this.#claimStep())),
    );
    return this.#claim;
  }

  settle(): Promise<HeldResult> {
    this.#settle ??= quiet(this.#failing(() => this.#bring()));
    return this.#settle;
  }

  /** The first one to fail is the one whose error counts; what waits for it fails with the same. */
  async #failing<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.#abort.signal.throwIfAborted();
      return await work();
    } catch (error) {
      this.#failed = true;
      if (this.#abort.signal.aborted) this.report.completed("context canceled");
      else this.report.completed(messageOf(error));
      const told =
        this.#abort.signal.aborted || error instanceof StepFailure
          ? error
          : new StepFailure(this.vertex, error);
      for (const user of this.#users) user.failed(told);
      throw told;
    }
  }

  /** See `StepContext.pinned`. */
  get pin(): Readonly<Record<string, string>> | undefined {
    return this.#pin;
  }

  async #claimSource(): Promise<Claim> {
    const { op } = this.vertex;
    if (!isSource(op)) throw new Error("not a source");
    // Of an image only the record is looked at; its step is the bringing.
    if (op.kind !== "image") this.report.started();
    const key = await this.#within(this.#deps.sources, () =>
      keyOfSource(this.#deps.runners, this.#context([])),
    );
    if (key === undefined) throw new Error("a source without key");
    const result = sourceKey(op, key);
    if (op.kind === "image") {
      if (this.#keep(result)) this.report.cached();
    } else this.report.completed();
    return { key: result, fresh: false, inputs: [], keys: [], imported: undefined };
  }

  async #claimStep(): Promise<Claim> {
    const { vertex } = this;
    const parts = contentParts(vertex);
    const byContent = contentOnly(vertex, parts);
    if (vertex.ignoreCache) this.#begin();
    const claims = await Promise.all(
      this.inputs.map(async (input, index) => {
        const claim = await this.#waiting(input.claim());
        // What no cache has heard of decides: then it is begun now and not when the other inputs are known, too.
        if (claim.fresh && byContent.has(index)) void input.settle();
        else if (claim.fresh) this.#begin();
        return claim;
      }),
    );
    const inputs = claims.map(({ key }) => key);
    const anew = claims.some(({ fresh }, index) => fresh && byContent.has(index));
    const found = anew && this.#mayCopy() ? await this.#copy(inputs) : await this.#look(inputs, false);
    if (found.key !== undefined && this.#keep(found.key, found.imported)) this.report.cached();
    if (found.key !== undefined) return { ...found, key: found.key, fresh: false, inputs };
    const key = this.#resultKey(found.keys);
    return { ...found, key, fresh: true, inputs };
  }

  /** It will run: what it reads is brought meanwhile. */
  #begin(): void {
    for (const input of this.inputs) void input.settle();
  }

  /** The key of what it makes now: that of its content if it has one, so that equal content made in other ways goes by the same. */
  #resultKey(keys: readonly Digest[]): Digest {
    const last = keys.at(-1);
    if (last === undefined) throw new Error("a step without key");
    // Run although it is known, it may come out otherwise: what reads it must not be found by the old one.
    if (this.vertex.ignoreCache && this.vertex.op.kind === "exec") return `sha256:${randomId()}` as Digest;
    return last;
  }

  /**
   * Its keys by the keys of what it reads, and the result's that they lead to. The content key is made when the fast one leads nowhere, or `always`.
   */
  async #look(inputs: readonly Digest[], always: boolean): Promise<Found> {
    const { vertex } = this;
    const { op } = vertex;
    if (isSource(op)) throw new Error("not a step");
    const fast = fastKey(op, inputs);
    const found = always ? undefined : await this.#known(fast);
    if (found) return { ...found, keys: [fast] };
    const parts = contentParts(vertex);
    if (parts.length === 0) return { key: undefined, keys: [fast], imported: undefined };
    const content = contentKey(vertex, inputs, await this.#digests(parts));
    return await this.#same([fast, content]);
  }

  /** `keys`: the fast one, which leads nowhere, and that of the content. */
  async #same(keys: readonly [Digest, Digest]): Promise<Found> {
    const same = await this.#known(keys[1]);
    if (!same) return { key: undefined, keys, imported: undefined };
    this.#deps.records.addKeys(same.key, keys);
    return { ...same, keys };
  }

  /**
   * Copies what was made just now without looking whether that is known: the copy reads all of it, and so finds its key. Where the key
   * leads to a result after all, the copy was for nothing.
   */
  async #copy(claimed: readonly Digest[]): Promise<Found> {
    const { vertex } = this;
    const { op } = vertex;
    if (isSource(op)) throw new Error("not a step");
    const inputs = await this.#waiting(Promise.all(this.inputs.map((input) => input.settle())));
    let digests: readonly Digest[] = [];
    this.#copied = await this.#make(inputs, {
      onCopied: (read) => {
        digests = read;
      },
    });
    const parts = contentParts(vertex).map((part, index) => {
      const digest = digests[index];
      if (digest === undefined) throw new Error("a copy did not tell what it read");
      return { ...part, digest };
    });
    const found = await this.#same([fastKey(op, claimed), contentKey(vertex, claimed, parts)]);
    if (found.key !== undefined) await this.#dropCopied();
    return found;
  }

  /** It tells what it read of every input that decides by content, and no cache elsewhere may spare us the root. */
  #mayCopy(): boolean {
    const { op } = this.vertex;
    if ([...this.#users].some(({ importers }) => importers.length > 0)) return false;
    return op.kind === "file" && op.actions.every((action) => action.kind !== "copy" || !action.unpack);
  }

  async #dropCopied(): Promise<void> {
    const copied = this.#copied;
    this.#copied = undefined;
    if (copied !== undefined) await this.#deps.cache.discard(copied);
  }

  async #known(
    key: Digest,
  ): Promise<{ readonly key: Digest; readonly imported: ImportedResult | undefined } | undefined> {
    if (this.vertex.ignoreCache) return undefined;
    const own = this.#deps.records.link(key);
    if (own !== undefined && this.#deps.cache.find(own)) return { key: own, imported: undefined };
    for (const user of this.#users) {
      for (const importer of user.importers) {
        const imported = await importer.find(key, this.#abort.signal);
        if (!imported) continue;
        this.#deps.records.addKeys(imported.key, [key]);
        return { key: imported.key, imported };
      }
    }
    return own === undefined ? undefined : { key: own, imported: undefined };
  }

  async #digests(
    parts: ReturnType<typeof contentParts>,
  ): Promise<readonly ((typeof parts)[number] & { readonly digest: Digest })[]> {
    const { content } = this.#deps;
    return await Promise.all(
      parts.map(async (part) => {
        const input = this.inputs[part.input];
        const result = input && (await this.#waiting(input.settle()));
        return {
          ...part,
          digest: await content.digest(result?.snapshot, part.selection, this.#abort.signal),
        };
      }),
    );
  }

  /** Keeps the record in use from now on, so that nobody prunes what this build counts on. */
  #keep(key: Digest, imported?: ImportedResult): boolean {
    const record = this.#deps.cache.find(key);
    if (record) {
      this.#holds.push(this.#deps.records.hold(record.id));
      this.#used = record;
    }
    return record !== undefined || imported?.snapshot !== undefined;
  }

  async #bring(): Promise<HeldResult> {
    const claim = await this.claim();
    const kept = this.#take(claim.key);
    if (kept) return kept;
    if (isSource(this.vertex.op)) return await this.#bringSource(claim.key);
    const imported = await this.#import(claim);
    if (imported) return imported;
    const inputs = await this.#waiting(Promise.all(this.inputs.map((input) => input.settle())));
    // What was known by its key alone and had to be made again may have come out otherwise.
    const actual = inputs.map(({ key }) => key);
    const same = actual.every((key, index) => key === claim.inputs[index]);
    if (same && claim.fresh) {
      const copied = this.#copied;
      if (copied === undefined) return await this.#run(claim.key, claim.keys, inputs);
      this.#copied = undefined;
      const result = this.#store(claim.key, claim.keys, copied);
      this.report.completed();
      return result;
    }
    let keys: readonly Digest[] = [];
    for (const always of same ? [true] : [false, true]) {
      const found = await this.#look(actual, always);
      keys = found.keys;
      const other =
        found.key && (this.#take(found.key) ?? (await this.#import({ ...found, key: found.key })));
      if (other) return other;
      if (keys.length > 1) break;
    }
    return await this.#run(this.#resultKey(keys), keys, inputs);
  }

  #take(key: Digest): HeldResult | undefined {
    if (this.vertex.ignoreCache && !isSource(this.vertex.op)) return undefined;
    if (this.vertex.op.kind === "local") return undefined;
    const record = this.#deps.cache.find(key);
    if (!record) return undefined;
    this.#used = record;
    this.report.cached();
    return this.#own(this.#deps.cache.take(record, key));
  }

  async #import({
    imported,
    key,
    keys,
  }: Pick<Claim, "imported" | "key" | "keys">): Promise<HeldResult | undefined> {
    if (!imported?.snapshot) return undefined;
    try {
      const made = await this.#within(
        this.#deps.sources,
        async () => await imported.snapshot?.({ signal: this.#abort.signal, progress: this.report }),
      );
      return this.#store(key, keys, made);
    } catch (error) {
      this.#abort.signal.throwIfAborted();
      // A cache is only a help: what it cannot give is made.
      this.#deps.log.warn("an imported result could not be fetched: the step runs", {
        step: this.vertex.name,
        error,
      });
      return undefined;
    }
  }

  async #bringSource(key: Digest): Promise<HeldResult> {
    const local = this.vertex.op.kind === "local";
    const snapshot = await this.#within(this.#deps.sources, async () => {
      if (!local) this.report.started();
      return await snapshotOf(this.#deps.runners, this.#context([]));
    });
    if (!local) this.report.completed();
    // The runner keeps local trees itself and changes them with the next transfer.
    if (local) {
      const release = () => {
        if (snapshot !== undefined) this.#deps.runners.local.release?.(snapshot);
      };
      return this.#own(this.#deps.cache.unrecorded(key, snapshot, release));
    }
    return this.#store(key, [], snapshot);
  }

  async #run(key: Digest, keys: readonly Digest[], inputs: readonly HeldResult[]): Promise<HeldResult> {
    const { op } = this.vertex;
    const siblings =
      op.kind === "exec" &&
      siblingKey(
        op,
        inputs.map((input) => input.key),
      );
    if (op.kind === "exec" && siblings) return await this.#runSiblings(siblings, op, { key, keys, inputs });
    const result = this.#store(key, keys, await this.#make(inputs));
    this.report.completed();
    return result;
  }

  /** One run makes the results of several vertices: those that nobody has asked for yet are kept, too. */
  async #runSiblings(
    siblings: Digest,
    op: ExecOp,
    mine: {
      readonly key: Digest;
      readonly keys: readonly Digest[];
      readonly inputs: readonly HeldResult[];
    },
  ): Promise<HeldResult> {
    const { cache } = this.#deps;
    const run = this.#deps.siblings.join(siblings);
    this.#holds.push(run);
    const own = op.result ?? -1;
    const outputs = await run.run(this.#abort.signal, async () => {
      let made: ReadonlyMap<number, ChainId> = new Map();
      await this.#make(mine.inputs, { onKept: (kept) => (made = kept) });
      const results = new Map<number, HeldResult>();
      try {
        for (const [result, snapshot] of made) {
          const keys = result === own ? mine.keys : await this.#keysOf({ ...op, result }, mine);
          const key = result === own ? mine.key : this.#resultKey(keys);
          const description = this.vertex.name;
          results.set(result, cache.store({ result: key, snapshot, type: "regular", description }, keys));
        }
        return results;
      } catch (error) {
        for (const result of results.values()) result[Symbol.dispose]();
        for (const snapshot of made.values()) await cache.discard(snapshot);
        throw error;
      }
    });
    const output = outputs.get(own);
    if (!output) throw new Error(`a run without output ${own}`);
    this.report.started();
    this.report.completed();
    return this.#own(output.again());
  }

  /** Keys of a vertex that differs from this one in its operation alone. */
  async #keysOf(
    op: ExecOp,
    { keys, inputs }: { readonly keys: readonly Digest[]; readonly inputs: readonly HeldResult[] },
  ): Promise<readonly Digest[]> {
    const read = inputs.map(({ key }) => key);
    const fast = fastKey(op, read);
    if (keys.length < 2) return [fast];
    const vertex = { ...this.vertex, op };
    return [fast, contentKey(vertex, read, await this.#digests(contentParts(vertex)))];
  }

  async #make(
    inputs: readonly HeldResult[],
    told: Pick<StepContext, "onCopied" | "onKept"> = {},
  ): Promise<ChainId | undefined> {
    return await this.#within(this.#deps.steps, async () => {
      this.report.started();
      const context = this.#context(inputs);
      return await snapshotOf(this.#deps.runners, { ...context, ...told });
    });
  }

  #store(result: Digest, keys: readonly Digest[], snapshot: ChainId | undefined): HeldResult {
    const { cache } = this.#deps;
    const { name, op } = this.vertex;
    const description = op.kind === "image" ? `pulled from ${op.reference}` : name;
    return this.#own(cache.store({ result, snapshot, type: recordType(op.kind), description }, keys));
  }

  #own(result: HeldResult): HeldResult {
    this.#holds.push(result);
    return result;
  }

  /** For another node, which may go on for other builds when this one has to end. */
  async #waiting<T>(other: Promise<T>): Promise<T> {
    return await abortable(other, this.#abort.signal);
  }

  async #within<T>(places: Semaphore, work: () => Promise<T>): Promise<T> {
    using _place = await places.acquire(this.#abort.signal);
    return await work();
  }

  #context(inputs: readonly HeldResult[]): StepContext {
    const { signal } = this.#abort;
    const sessions = () => [...this.#users].map((user) => user.session);
    const [first] = this.#users;
    if (!first) throw signal.reason;
    const session = new SharedSession(first.session, signal, sessions);
    const { vertex, report: progress } = this;
    const pinned = (digest: Readonly<Record<string, string>>) => {
      this.#pin = digest;
    };
    // Every build that has the step is entitled to it.
    const { entitlements } = first;
    return { vertex, op: vertex.op, inputs, session, signal, progress, entitlements, pinned };
  }
}

/** Who waits for it hears of its failure; nobody may. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
