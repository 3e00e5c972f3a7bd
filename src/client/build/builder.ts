import type { RpcClient } from "../../base/rpc/client.ts";
import {
  type BuildkitVersion,
  type DiskUsageRequest,
  PruneRequest,
  SolveRequest,
  type UsageRecord,
  type WorkerRecord,
} from "../../base/spec/buildkit/control.gen.ts";
import * as gateway from "../../base/spec/buildkit/gateway.gen.ts";
import { buildIdKey, Control, LlbBridge } from "../../base/spec/buildkit/methods.ts";
import type { Client } from "../client.ts";
import { openBuilder } from "./connect.ts";
import { type SolveEvent, toEvent } from "./events.ts";
import { readProvenance } from "./provenance.ts";

/** What a frontend must know to be asked something. */
const subrequestCap = "moby.buildkit.frontend.subrequests";

/** A build to order. `frontendAttrs` are BuildKit's ("filename", "target", "build-arg:NAME", "context:NAME", …). */
export type SolveOptions = Partial<
  Pick<
    SolveRequest,
    "frontend" | "frontendAttrs" | "session" | "entitlements" | "exporters" | "cache" | "internal"
  >
> & { readonly ref: string };

/** The builder of a daemon: Tug's or a real one's. One connection; close it when done. */
export class BuilderClient implements AsyncDisposable {
  readonly #rpc: RpcClient;

  private constructor(rpc: RpcClient) {
    this.#rpc = rpc;
  }

  static async open(client: Client, signal?: AbortSignal): Promise<BuilderClient> {
    return new BuilderClient(await openBuilder(client, signal));
  }

  /**
   * Builds; gives what the exporters said ("containerimage.digest", …). Aborting `signal` cancels the build. Failures are `RpcError`: see
   * `failureOf` for the step and the lines of the Dockerfile.
   */
  async solve(options: SolveOptions, signal?: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const exporter = options.exporters?.[0];
    const request = SolveRequest.create({
      frontend: "dockerfile.v0",
      ...options,
      // What builders before 2024 read.
      exporter: exporter?.type ?? "",
      exporterAttrs: exporter?.attrs ?? {},
    });
    return (await this.#rpc.call(Control.solve, request, { signal })).exporterResponse;
  }

  /**
   * Asks the Dockerfile's frontend instead of building (`requestid`: "frontend.lint", "frontend.outline", "frontend.targets"); the reply's
   * members are "result.json" and "result.txt". `status` tells of it as of a build.
   */
  async ask(
    requestId: string,
    options: Pick<SolveOptions, "ref" | "session" | "frontendAttrs">,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, Uint8Array>>> {
    // The gateway's way, as it alone gives a frontend's answers: a build without a frontend that we drive.
    const stop = new AbortController();
    const until = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    const { frontendAttrs, ...rest } = options;
    const order = SolveRequest.create({ ...rest, internal: true });
    const driven = this.#rpc.call(Control.solve, order, { signal: until });
    const metadata = { [buildIdKey]: [options.ref] };
    const failed = driven.then(() => new Promise<never>(() => undefined)); // only its failure counts
    failed.catch(() => undefined); // raced below
    try {
      const request = gateway.SolveRequest.create({
        frontend: "dockerfile.v0",
        frontendOpt: { ...frontendAttrs, requestid: requestId, "frontend.caps": subrequestCap },
        allowResultReturn: true,
        allowResultArrayRef: true,
      });
      const asked = this.#rpc.call(LlbBridge.solve, request, { metadata, signal: until });
      const reply = await Promise.race([asked, failed]);
      await this.#rpc.call(LlbBridge.return, gateway.ReturnRequest.create({ result: {} }), {
        metadata,
        signal: until,
      });
      await driven;
      return reply.result?.metadata ?? {};
    } finally {
      stop.abort();
      await driven.catch(() => undefined); // thrown above if it came first
    }
  }

  /** What happens in the build `ref`, from its beginning, until it ends. May be asked for before `solve`. */
  async *status(ref: string, signal?: AbortSignal): AsyncGenerator<SolveEvent, void, void> {
    for await (const reply of this.#rpc.replies(Control.status, { ref }, { signal })) yield toEvent(reply);
  }

  /** See `readProvenance`. */
  async provenance(ref: string, signal?: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>> {
    return await readProvenance(this.#rpc, ref, signal);
  }

  async diskUsage(
    request: Partial<DiskUsageRequest> = {},
    signal?: AbortSignal,
  ): Promise<readonly UsageRecord[]> {
    return (await this.#rpc.call(Control.diskUsage, { filter: [], ageLimit: 0n, ...request }, { signal }))
      .record;
  }

  /** Yields what was removed. Durations are nanoseconds, sizes bytes; 0: no such bound. */
  prune(request: Partial<PruneRequest>, signal?: AbortSignal): AsyncGenerator<UsageRecord, void, void> {
    return this.#rpc.replies(Control.prune, PruneRequest.create(request), { signal });
  }

  async workers(signal?: AbortSignal): Promise<readonly WorkerRecord[]> {
    return (await this.#rpc.call(Control.listWorkers, { filter: [] }, { signal })).record;
  }

  /** undefined: a builder from before 2022 does not say. */
  async version(signal?: AbortSignal): Promise<BuildkitVersion | undefined> {
    return (await this.#rpc.call(Control.info, {}, { signal })).buildkitVersion;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rpc[Symbol.asyncDispose]();
  }
}

/** Cancels a build by its ref, whoever ordered it. */
export async function cancelBuild(client: Client, ref: string, signal?: AbortSignal): Promise<void> {
  const reply = await client.send({ method: "POST", path: "/build/cancel", query: { id: ref }, signal });
  await reply.body.text();
}
