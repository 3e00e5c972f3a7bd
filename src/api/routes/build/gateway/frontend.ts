import { TugError } from "../../../../base/lib/errors.ts";
import type { Log } from "../../../../base/lib/log.ts";
import type { ByteStream } from "../../../../base/rpc/bytes.ts";
import { serveRpc } from "../../../../base/rpc/server.ts";
import type { Builder } from "../../../../base/spec/builder/builder.ts";
import type { BuildSession } from "../../../../base/spec/builder/session.ts";
import type { WorkerInfo } from "../backend.ts";
import type { Builds, ForeignBuild } from "../builds.ts";
import type { SolveOrder } from "../parse-request.ts";
import type { Returned } from "../result.ts";
import { workerRecord } from "../worker.ts";
import { bridgeServices } from "./bridge.ts";
import { GatewayBuild } from "./build.ts";

/** Frontends that ask other frontends, which ask others. */
const deepest = 8;
/** Bytes of all attributes together: they are the program's environment. */
const maxAttributes = 1 << 20;

export interface FrontendDeps {
  readonly builds: Builds;
  readonly builder: Pick<Builder, "frontend">;
  readonly worker: () => WorkerInfo;
  readonly log: Log;
}

/**
 * Has a frontend's image plan the build: it is served what clients of the gateway are, over its standard input and output, and what it returns
 * is the plan. `use` looks at that while the frontend's results are still held.
 */
export async function throughFrontend<T>(
  deps: FrontendDeps,
  build: ForeignBuild,
  use: (returned: Returned) => T | Promise<T>,
): Promise<T> {
  const { job, order, session, signal } = build;
  const depth = order.depth ?? 0;
  if (depth >= deepest) throw new TugError("invalid-argument", `frontends ask each other ${depth} deep`);
  const source = order.attrs["source"] ?? "";
  if (source === "")
    throw new TugError("invalid-argument", "the frontend gateway.v0 needs an image as its source");
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  using gateway = new GatewayBuild(job, session, until, { ...order, depth: depth + 1 });
  const pipe = new FrontendPipe();
  const services = bridgeServices({ ...deps, gateway: async () => gateway });
  const served = serveRpc(pipe.bytes, { services, log: deps.log, signal: until });
  try {
    const asked = {
      source,
      env: environment(deps, order, session),
      caps: order.attrs["frontend.caps"],
      hasInputs: Object.keys(order.inputs ?? {}).length > 0,
    };
    const options = { signal: until, progress: job.progress };
    try {
      await deps.builder.frontend(asked, pipe.stdio, session, options);
    } catch (error) {
      // What it told over the connection says more than that it failed.
      if (!gateway.failed) throw error;
    }
    if (!gateway.over) throw new TugError("internal", `the frontend ${source} ended without a result`);
    return await use(await gateway.returned);
  } finally {
    over.abort(new TugError("cancelled", "the frontend has ended"));
    pipe.close();
    await served;
  }
}

/** As frontend/gateway of BuildKit has it. */
function environment(
  { worker }: Pick<FrontendDeps, "worker">,
  { attrs }: SolveOrder,
  session: BuildSession,
): readonly string[] {
  const options = Object.entries(attrs).map(
    ([key, value], index) => `BUILDKIT_FRONTEND_OPT_${index}=${key}=${value}`,
  );
  if (options.reduce((sum, text) => sum + text.length, 0) > maxAttributes)
    throw new TugError("invalid-argument", `a frontend's attributes may have ${maxAttributes} bytes`);
  const { id, labels, platforms } = workerRecord(worker());
  const workers = [
    {
      id,
      labels,
      platforms: platforms.map(({ os, architecture, variant }) => ({
        os,
        architecture,
        ...(variant !== "" && { variant }),
      })),
    },
  ];
  return [
    ...options,
    `BUILDKIT_SESSION_ID=${session.id}`,
    `BUILDKIT_WORKERS=${JSON.stringify(workers)}`,
    "BUILDKIT_EXPORTEDPRODUCT=tug",
  ];
}

/** The two directions between a program's standard streams and its connection. */
class FrontendPipe {
  readonly #toProgram = new PieceQueue();
  readonly #fromProgram = new PieceQueue();

  readonly stdio = {
    input: { [Symbol.asyncIterator]: () => ({ next: async () => stepOf(await this.#toProgram.next()) }) },
    output: (bytes: Uint8Array) => this.#fromProgram.push(new Uint8Array(bytes)),
  };

  readonly bytes: ByteStream = {
    next: () => this.#fromProgram.next(),
    write: (bytes) => this.#toProgram.push(new Uint8Array(bytes)),
    end: () => this.#toProgram.close(),
    close: () => this.close(),
  };

  close(): void {
    this.#toProgram.close();
    this.#fromProgram.close();
  }
}

function stepOf(bytes: Uint8Array | undefined): IteratorResult<Uint8Array, undefined> {
  return bytes ? { done: false, value: bytes } : { done: true, value: undefined };
}

/** Pieces that wait for a reader: who writes waits until his was taken. */
class PieceQueue {
  readonly #pieces: { readonly bytes: Uint8Array; readonly taken: () => void }[] = [];
  #waiting: (() => void) | undefined;
  #closed = false;

  async push(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pieces.push({ bytes, taken: resolve });
    this.#waiting?.();
    await promise;
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) {
        piece.taken();
        return piece.bytes;
      }
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
      this.#waiting = undefined;
    }
  }

  close(): void {
    this.#closed = true;
    // Who still reads gets what was written before.
    for (const { taken } of this.#pieces) taken();
    this.#waiting?.();
  }
}
