import { internal, TugError } from "../../base/lib/errors.ts";
import { errnoOf } from "../../base/lib/storage-error.ts";
import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import { type HelperProcess, startHelper } from "../../base/sys/process/start-helper.ts";
import type { LayerTarget } from "../snapshot/apply/apply-layer.ts";
import type { SnapshotLayout } from "../snapshot/snapshotter.ts";
import { type FramePart, frameHeader, jsonFrame, readFrames } from "./frames.ts";
import {
  type FilesReply,
  type FilesRequest,
  type FilesView,
  filesHelper,
  type ListedChange,
  type PutOptions,
  type WrittenLayer,
} from "./protocol.ts";

export interface FilesClientDeps {
  /** Command that a helper's name is appended to. */
  readonly helperCommand: readonly string[];
}

/** The path that was asked for does not exist in the container. */
export class PathMissing extends Error {
  override readonly name = "PathMissing";
}

/** The container of the view ended before its files were opened: whoever asked may look again. */
export class ViewEnded extends Error {
  override readonly name = "ViewEnded";
}

/** The daemon's side: each call is a helper process of its own, which ends with it. */
export class FilesClient {
  readonly #deps: FilesClientDeps;

  constructor(deps: FilesClientDeps) {
    this.#deps = deps;
  }

  async stat(view: FilesView, path: string): Promise<PathStat> {
    await using run = this.#run({ op: "stat", view, path });
    const stat = await run.stat();
    await run.finish();
    return stat;
  }

  /** Resolves with the stat; disposing (or the signal) ends the helper whether or not the tar was read. */
  async get(
    view: FilesView,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: PathStat; readonly tar: AsyncGenerator<Uint8Array, void, undefined> }> {
    await using stack = new AsyncDisposableStack();
    const run = stack.use(this.#run({ op: "get", view, path }, signal));
    const stat = await run.stat();
    stack.move();
    return { stat, tar: run.data() };
  }

  async put(
    view: FilesView,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<void> {
    await using run = this.#run({ op: "put", view, path, ...options });
    // Nothing of the tar is read before it is known where to: the caller may try again after `ViewEnded`.
    await run.reply();
    await run.send(tar);
    await run.finish();
  }

  /** The tree as a tar. The helper runs from the first read on. */
  export(view: FilesView, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#run({ op: "export", view }, signal).data();
  }

  async changes(layout: SnapshotLayout, ignored: ReadonlySet<string>): Promise<readonly ListedChange[]> {
    await using run = this.#run({ op: "changes", layout, ignored: [...ignored] });
    const reply = await run.reply();
    if (reply.kind !== "changes") throw internal(`the files helper answered with ${reply.kind}`);
    await run.finish();
    return reply.changes;
  }

  /**
   * Writes the changes as a gzip'd layer into `sink`, and in the same pass as files into `target`, an empty snapshot on the
   * same parent.
   */
  async layer(
    layout: SnapshotLayout,
    ignored: ReadonlySet<string>,
    target: LayerTarget,
    sink: (chunk: Uint8Array) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<WrittenLayer> {
    return await this.#layer(layout, { ignored, target }, sink, signal);
  }

  /** The changes as a gzip'd layer, for a snapshot that stays what it is. The same tree gives the same bytes. */
  async layerBlob(
    layout: SnapshotLayout,
    sink: (chunk: Uint8Array) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<WrittenLayer> {
    return await this.#layer(layout, { ignored: new Set(), target: undefined }, sink, signal);
  }

  async #layer(
    layout: SnapshotLayout,
    how: {
      readonly ignored: ReadonlySet<string>;
      readonly target: LayerTarget | undefined;
    },
    sink: (chunk: Uint8Array) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<WrittenLayer> {
    await using run = this.#run({ op: "layer", layout, ...how, ignored: [...how.ignored] }, signal);
    for await (const chunk of run.data()) await sink(chunk);
    if (run.layer === undefined) throw internal("the files helper named no layer");
    return run.layer;
  }

  #run(request: FilesRequest, signal?: AbortSignal): Run {
    return new Run([...entering(request), ...this.#deps.helperCommand], request, signal);
  }
}

/** A user namespace is entered from outside: only a process of one thread can (setns(2)), and the helper never is one. */
function entering(request: FilesRequest): readonly string[] {
  if (!("view" in request) || request.view.kind === "stopped") return [];
  const { userOf } = request.view;
  return userOf === undefined ? [] : ["nsenter", `--user=/proc/${userOf}/ns/user`, "--"];
}

/** Bytes of a tar handed over at a time: clients send pieces of a few kilobytes. */
const batch = 1 << 18;

/** One helper process and the conversation with it. */
class Run implements AsyncDisposable {
  layer: WrittenLayer | undefined;
  readonly #child: HelperProcess;
  readonly #frames: AsyncGenerator<FramePart, void, undefined>;
  readonly #complaint: Promise<string>;
  readonly #signal: AbortSignal | undefined;
  readonly #kill: () => void;
  #done = false;

  constructor(command: readonly string[], request: FilesRequest, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    this.#child = startHelper([...command, filesHelper, String(process.pid)]);
    this.#complaint = this.#child.stderr.text();
    this.#frames = readFrames(this.#child.stdout);
    this.#signal = signal;
    this.#kill = () => this.#child.kill("SIGKILL");
    signal?.addEventListener("abort", this.#kill, { once: true });
    const bytes = Buffer.from(JSON.stringify(request));
    const { stdin } = this.#child;
    // A helper that died before it read this is noticed by its silence, and by its complaint.
    for (const work of [
      () => stdin.write(Buffer.concat([frameHeader(jsonFrame, bytes.length), bytes])),
      () => (request.op === "put" ? stdin.flush() : stdin.end()),
    ])
      void begun(work).catch(() => undefined);
  }

  /** Sends the tar while the helper takes it; stops quietly when the helper takes no more, whose reply then says why. */
  async send(tar: AsyncIterable<Uint8Array>): Promise<void> {
    const { stdin } = this.#child;
    let ended = false;
    const end = () => {
      ended = true;
    };
    const exit = this.#child.exited.then(end);
    // A broken pipe is the helper's end as well.
    const settled = (work: () => unknown) => Promise.race([exit, begun(work).then(() => undefined, end)]);
    let flushed: Promise<unknown> = Promise.resolve();
    let written = 0;
    for await (const chunk of tar) {
      if (ended) return;
      const work = settled(() => stdin.write(chunk));
      written += chunk.length;
      if (written < batch) continue;
      // One batch goes out while the next comes in.
      await flushed;
      flushed = Promise.all([work, settled(() => stdin.flush())]);
      written = 0;
    }
    await flushed;
    if (!ended) await settled(() => stdin.end());
  }

  async stat(): Promise<PathStat> {
    const reply = await this.reply();
    if (reply.kind !== "stat") throw internal(`the files helper answered with ${reply.kind}`);
    return reply.stat;
  }

  /** The next reply; a failure is thrown. */
  async reply(): Promise<Exclude<FilesReply, { kind: "failed" }>> {
    for (;;) {
      const part = await this.#next();
      if (part.kind === "json") return this.#accept(part.value);
    }
  }

  /** Waits for the end of a conversation without data. */
  async finish(): Promise<void> {
    while (!this.#done) await this.reply();
  }

  /** Data up to the end; ends the helper when the reader stops early. */
  async *data(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (!this.#done) {
        const part = await this.#next();
        if (part.kind === "data") yield part.bytes;
        else this.#accept(part.value);
      }
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async #next(): Promise<FramePart> {
    let next: IteratorResult<FramePart, void> | undefined;
    try {
      next = await this.#frames.next();
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw await this.#died(error);
    }
    this.#signal?.throwIfAborted();
    if (next.done) throw await this.#died(undefined);
    return next.value;
  }

  async #died(cause: unknown): Promise<TugError> {
    await this.#child.exited;
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
    const said = (await this.#complaint).trim().slice(-2000);
    return internal(`the files helper ended with ${how}: ${said}`, cause);
  }

  #accept(value: unknown): Exclude<FilesReply, { kind: "failed" }> {
    // Only our own helper writes here.
    const reply = value as FilesReply;
    if (reply.kind === "failed") {
      this.#done = true;
      if (reply.reason === "missing") throw new PathMissing(reply.message);
      if (reply.reason === "ended") throw new ViewEnded(reply.message);
      throw new TugError(reply.code, reply.message);
    }
    if (reply.kind === "done") {
      this.#done = true;
      this.layer = reply.layer;
    }
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#kill);
    if (this.#child.exitCode === null && this.#child.signalCode === null && !this.#done) this.#kill();
    await this.#child.exited;
    // Both ends of the conversation hold a descriptor until they are closed, read to the end or not.
    await this.#close(() => this.#child.stdin.end());
    await this.#close(() => this.#frames.return());
    await this.#complaint;
  }

  async #close(end: () => unknown): Promise<void> {
    try {
      await end();
    } catch (error) {
      // A broken pipe of a helper that is gone; its reply was what counted.
      if (errnoOf(error) !== "EPIPE") throw error;
    }
  }
}

/** Work that is begun at once. Of a pipe that is broken Bun tells by throwing or by the promise, whichever it knows first. */
async function begun(work: () => unknown): Promise<void> {
  await work();
}
