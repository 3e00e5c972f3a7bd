import { closeSync, openSync } from "node:fs";
import { randomId } from "../../../base/lib/ids.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import type { DoneReport } from "./protocol.ts";
import { UnpackProcess } from "./unpack-process.ts";
import type { WriteBehind } from "./write-behind.ts";

export interface EarlyLayerDeps {
  readonly helperCommand: readonly string[];
  readonly snapshots: Snapshotter;
  readonly writeBehind: WriteBehind;
}

/** Keys of snapshots being filled; those found at start belong to a daemon that died. */
export const unpackKeyPrefix = "unpack-";

export function unpackKey(): string {
  return `${unpackKeyPrefix}${randomId().slice(0, 16)}`;
}

/**
 * A layer that is being unpacked though its blob is still arriving, or though nobody knows yet what it lies on: a helper follows the
 * growing file, and waits where the tar relies on the layers below (a directory that it does not hold, a removal, a link to a file of
 * theirs). Most layers rely on them nowhere or only at a few places. What it makes becomes a layer by `LayerStacks.commitStack`;
 * unless it is `kept`, disposal takes it away.
 */
export class EarlyLayer implements AsyncDisposable {
  readonly key: string;
  /** The directory that it is unpacked into. */
  readonly upper: string;
  readonly size: number;
  readonly #snapshots: Snapshotter;
  readonly #process: UnpackProcess;
  readonly #release: () => void;
  readonly #writeBehind: WriteBehind;
  readonly #failuresBefore: number;
  #onProgress: (bytes: number) => void = () => undefined;
  #kept = false;

  private constructor(
    deps: EarlyLayerDeps,
    key: string,
    process: UnpackProcess,
    size: number,
    release: () => void,
  ) {
    this.#snapshots = deps.snapshots;
    this.#process = process;
    this.#release = release;
    this.key = key;
    this.upper = upperOf(deps.snapshots, key);
    this.size = size;
    process.done.then(release, release);
    this.#writeBehind = deps.writeBehind;
    this.#failuresBefore = deps.writeBehind.failures;
    let last = 0;
    process.onProgress = (bytes) => {
      deps.writeBehind.wrote(bytes - last);
      last = bytes;
      this.#onProgress(bytes);
    };
  }

  /** Of a blob that will have `size` bytes; `release` is called when the helper has ended, at least once. */
  static async begin(
    deps: EarlyLayerDeps,
    path: string,
    size: number,
    release: () => void = () => undefined,
  ): Promise<EarlyLayer> {
    const key = unpackKey();
    await deps.snapshots.prepare(key, undefined);
    try {
      const fd = openSync(path, "r");
      try {
        const request = { upper: upperOf(deps.snapshots, key), size };
        return new EarlyLayer(deps, key, new UnpackProcess(deps.helperCommand, request, fd), size, release);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      release();
      await deps.snapshots.remove(key);
      throw error;
    }
  }

  /** So many bytes of the blob are in its file. */
  written(size: number): void {
    this.#process.tell({ kind: "written", size });
  }

  /** Tells what it lies on, nearest first, and waits for its end. `lowers` must be complete; the blob need not. */
  async finish(
    lowers: readonly string[],
    options: { readonly signal?: AbortSignal; readonly onProgress?: (done: number, total: number) => void },
  ): Promise<DoneReport> {
    const { signal, onProgress } = options;
    const kill = () => this.#process.kill();
    signal?.addEventListener("abort", kill, { once: true });
    if (signal?.aborted) kill();
    this.#onProgress = (bytes) => onProgress?.(Math.min(bytes, this.size), this.size);
    try {
      this.#process.tell({ kind: "lowers", lowers });
      const done = await this.#process.done;
      onProgress?.(this.size, this.size);
      return done;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", kill);
    }
  }

  /** Waits until nobody else is syncing its files; throws when that failed. To be called before it becomes a layer. */
  async settled(): Promise<void> {
    await this.#writeBehind.settled(this.#failuresBefore);
  }

  /** It has become a layer. */
  keep(): void {
    this.#kept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    this.#release();
    if (!this.#kept) await this.#snapshots.remove(this.key);
  }
}

function upperOf(snapshots: Snapshotter, key: string): string {
  const layout = snapshots.layout(key);
  if (layout.kind !== "overlay") throw new Error(`${snapshots.name} has no directories of changes`);
  return layout.upper;
}
