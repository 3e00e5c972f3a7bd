import { type ErrorCode, internal, isCode, TugError } from "../../../base/lib/errors.ts";
import { type ChainId, type DiffId, randomId } from "../../../base/lib/ids.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { chainId } from "../../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { ContentStore } from "../../content/content.ts";
import type { LayerTarget } from "../../snapshot/apply/apply-layer.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import type { LayerSource, Unpacker } from "../image.ts";
import type { LayerRecords } from "../layers.ts";
import { type UnpackReport, type UnpackRequest, unpackHelper } from "./protocol.ts";
import { verifyLayer } from "./verify-layer.ts";

export interface UnpackerDeps {
  /** Command that a helper's name is appended to, e.g. ["/usr/bin/tug", "__helper"]. */
  readonly helperCommand: readonly string[];
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
}

export interface UnpackOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Keys of snapshots being filled; those found at start belong to a daemon that died. */
const keyPrefix = "unpack-";

/** Takes in a layer that its maker writes itself, instead of unpacking it from a blob. */
export interface LayerMaker {
  /**
   * Prepares a snapshot on `parent`, has `write` put the layer's files into it and commits it under the chain id that the returned
   * diffID gives. The layer is kept from the garbage collection until an image names it. When `write` fails, or makes no layer
   * (undefined), nothing is left.
   */
  make<Made extends MadeLayer | undefined>(
    parent: ChainId | undefined,
    write: (target: LayerTarget) => Promise<Made>,
  ): Promise<Made>;
}

export interface MadeLayer {
  readonly diffId: DiffId;
  /** Bytes of the layer's regular files. */
  readonly size: number;
}

/** Unpacks each layer in a process of its own, which may use all the memory and time it needs without holding us up. */
export class ProcessUnpacker implements Unpacker, LayerMaker {
  readonly #deps: UnpackerDeps;
  readonly #locks = new KeyedMutex();

  constructor(deps: UnpackerDeps) {
    this.#deps = deps;
  }

  /** Removes what a daemon that died was unpacking. */
  async recover(): Promise<void> {
    for (const { name, kind } of [...this.#deps.snapshots.list()]) {
      if (kind === "active" && name.startsWith(keyPrefix)) await this.#deps.snapshots.remove(name);
    }
  }

  async unpack(layer: LayerSource, parent: ChainId | undefined, options: UnpackOptions): Promise<ChainId> {
    const name = chainId(parent, layer.diffId);
    return await this.#locks.run(name, async () => {
      this.#deps.layers.pin(name);
      if (this.#deps.snapshots.stat(name)) return name;
      await this.#fill(layer.descriptor, layer.diffId, parent, options);
      return name;
    });
  }

  async verify(layer: LayerSource, signal?: AbortSignal): Promise<void> {
    await verifyLayer(this.#deps.content, layer, signal);
  }

  /** Unpacks a layer whose diffID nobody told: the root file system of an import. */
  async unpackUnknown(
    descriptor: Descriptor,
    options: UnpackOptions,
  ): Promise<{ readonly chainId: ChainId; readonly diffId: DiffId }> {
    const diffId = await this.#fill(descriptor, undefined, undefined, options);
    return { chainId: chainId(undefined, diffId), diffId };
  }

  /** Unpacks a layer that is there once more, beside it; both are there for `use`, then the new one goes. */
  async again<Result>(
    layer: LayerSource,
    parent: ChainId | undefined,
    use: (fresh: LayerTarget, kept: LayerTarget) => Promise<Result>,
  ): Promise<Result> {
    const name = chainId(parent, layer.diffId);
    return await this.#locks.run(name, async () => {
      const { snapshots, content } = this.#deps;
      const key = `${keyPrefix}${randomId().slice(0, 16)}`;
      await snapshots.prepare(key, parent);
      try {
        const blob = content.path(layer.descriptor.digest);
        const target = this.#target(key);
        await this.#run({ blob, target, diffId: layer.diffId, verified: false }, layer.descriptor.size, {});
        return await use(target, this.#target(name));
      } finally {
        await snapshots.remove(key);
      }
    });
  }

  async #fill(
    descriptor: Descriptor,
    diffId: DiffId | undefined,
    parent: ChainId | undefined,
    options: UnpackOptions,
  ): Promise<DiffId> {
    options.signal?.throwIfAborted();
    const blob = this.#deps.content.path(descriptor.digest);
    const verified = (descriptor.digest as string) === diffId;
    const write = (target: LayerTarget) =>
      this.#run({ blob, target, diffId, verified }, descriptor.size, options);
    return (await this.make(parent, write)).diffId;
  }

  async make<Made extends MadeLayer | undefined>(
    parent: ChainId | undefined,
    write: (target: LayerTarget) => Promise<Made>,
  ): Promise<Made> {
    const { snapshots, layers } = this.#deps;
    const key = `${keyPrefix}${randomId().slice(0, 16)}`;
    await snapshots.prepare(key, parent);
    try {
      const done = await write(this.#target(key));
      if (!done) {
        await snapshots.remove(key);
        return done;
      }
      const name = chainId(parent, done.diffId);
      layers.pin(name);
      // First: of a layer that is there its size is known, whatever moment the power goes.
      layers.add(name, done.diffId, done.size);
      await this.#commit(name, key);
      return done;
    } catch (error) {
      // What cannot be removed now goes at the next start; the failure itself is what matters.
      await snapshots.remove(key).catch(() => undefined);
      throw error;
    }
  }

  /** An import may bring a layer that is there already, or is being unpacked: either one does. */
  async #commit(name: ChainId, key: string): Promise<void> {
    const { snapshots } = this.#deps;
    try {
      await snapshots.commit(name, key);
    } catch (error) {
      if (!isCode(error, "conflict") || snapshots.stat(name)?.kind !== "committed") throw error;
      await snapshots.remove(key);
    }
  }

  #target(key: string): LayerTarget {
    const layout = this.#deps.snapshots.layout(key);
    if (layout.kind === "tree") return { kind: "tree", tree: layout.tree };
    return { kind: "overlay", upper: layout.upper, lowers: layout.lowers };
  }

  async #run(
    request: UnpackRequest,
    total: number,
    options: UnpackOptions,
  ): Promise<Extract<UnpackReport, { kind: "done" }>> {
    const child = Bun.spawn([...this.#deps.helperCommand, unpackHelper, String(process.pid)], {
      stdin: Buffer.from(JSON.stringify(request)),
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    const kill = () => child.kill("SIGKILL");
    options.signal?.addEventListener("abort", kill, { once: true });
    if (options.signal?.aborted) kill();
    try {
      const complaint = child.stderr.text();
      let last: UnpackReport | undefined;
      for await (const report of reports(child.stdout)) {
        last = report;
        if (report.kind === "progress") options.onProgress?.(Math.min(report.bytes, total), total);
      }
      await child.exited;
      options.signal?.throwIfAborted();
      if (last?.kind === "done") {
        options.onProgress?.(total, total);
        return last;
      }
      if (last?.kind === "failed") throw new TugError(known(last.code), last.message);
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      throw internal(`the unpack helper ended with ${how}: ${(await complaint).trim().slice(-2000)}`);
    } finally {
      options.signal?.removeEventListener("abort", kill);
      if (child.exitCode === null && child.signalCode === null) kill();
      await child.exited;
    }
  }
}

async function* reports(stream: AsyncIterable<Uint8Array>): AsyncGenerator<UnpackReport, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    // Only our own helper writes here.
    for (const line of lines) yield JSON.parse(line) as UnpackReport;
  }
}

/** The helper says what is wrong with a layer in our own codes; anything it cannot tell is internal. */
function known(code: ErrorCode): ErrorCode {
  return code === "data-loss" || code === "resource-exhausted" || code === "invalid-argument"
    ? code
    : "internal";
}
