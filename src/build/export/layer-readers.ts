import { type ErrorCode, internal, TugError } from "../../base/lib/errors.ts";
import type { DiffId } from "../../base/lib/ids.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";
import { wholeLines } from "../../base/lib/whole-lines.ts";
import { type HelperProcess, startHelper } from "../../base/sys/process/start-helper.ts";
import type { SnapshotLayout } from "../../core/snapshot/snapshotter.ts";
import type { LayerDigests } from "./layers.ts";

/** Name of the helper program. */
const layerReadingHelper = "read-layers";

/** What it answers with. */
export type LayerReadReply =
  | { readonly kind: "read"; readonly diffId: DiffId; readonly size: number }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };

export interface LayerReadersDeps {
  /** Command that a helper's name is appended to. */
  readonly helperCommand: readonly string[];
}

/** At work at the same time: the steps that still run want processors as well. */
const most = 2;
/** A reader waits for so long for another layer. */
const idleMilliseconds = 5_000;

/** Reads snapshots as layers in processes that stay for the next one: to start a process takes longer than to read a small layer. */
export class LayerReaders implements LayerDigests, AsyncDisposable {
  readonly #command: readonly string[];
  readonly #places = new Semaphore(most);
  readonly #idle: Reader[] = [];
  #ending: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(deps: LayerReadersDeps) {
    this.#command = [...deps.helperCommand, layerReadingHelper, String(process.pid)];
  }

  async layerDigest(
    layout: SnapshotLayout,
    signal?: AbortSignal,
  ): Promise<{ readonly diffId: DiffId; readonly size: number }> {
    using _place = await this.#places.acquire(signal);
    const reader = this.#take();
    const kill = () => reader.child.kill("SIGKILL");
    signal?.addEventListener("abort", kill, { once: true });
    try {
      const reply = await reader.ask(layout);
      signal?.throwIfAborted();
      if (reply === undefined) throw internal(await reader.lastWords());
      this.#keep(reader);
      if (reply.kind === "failed") throw new TugError(reply.code, reply.message);
      return { diffId: reply.diffId, size: reply.size };
    } finally {
      signal?.removeEventListener("abort", kill);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#endIdle();
  }

  #take(): Reader {
    for (let reader = this.#idle.pop(); reader; reader = this.#idle.pop()) if (reader.alive) return reader;
    return new Reader(this.#command);
  }

  #keep(reader: Reader): void {
    if (this.#closed) {
      reader.end();
      return;
    }
    this.#idle.push(reader);
    clearTimeout(this.#ending);
    this.#ending = setTimeout(() => void this.#endIdle(), idleMilliseconds);
    this.#ending.unref();
  }

  async #endIdle(): Promise<void> {
    clearTimeout(this.#ending);
    await Promise.all(this.#idle.splice(0).map((reader) => reader.end()));
  }
}

class Reader {
  readonly child: HelperProcess;
  readonly #lines: AsyncGenerator<string, void, undefined>;
  readonly #complaint: Promise<string>;

  constructor(command: readonly string[]) {
    this.child = startHelper(command);
    this.#lines = wholeLines(this.child.stdout);
    this.#complaint = this.child.stderr.text();
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Undefined when it ended without an answer. */
  async ask(layout: SnapshotLayout): Promise<LayerReadReply | undefined> {
    try {
      this.child.stdin.write(`${JSON.stringify(layout)}\n`);
      await this.child.stdin.flush();
    } catch {
      // It died before it read the request: its silence is told by the caller.
    }
    const line = await this.#lines.next();
    // Only our own helper writes here.
    return line.done ? undefined : (JSON.parse(line.value) as LayerReadReply);
  }

  async lastWords(): Promise<string> {
    await this.child.exited;
    const how = this.child.signalCode ?? `exit code ${this.child.exitCode}`;
    return `the helper that reads layers ended with ${how}: ${(await this.#complaint).trim().slice(-2000)}`;
  }

  async end(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}
