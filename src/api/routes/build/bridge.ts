import { invalid, TugError } from "../../../base/lib/errors.ts";
import { first, type Metadata } from "../../../base/rpc/metadata.ts";
import { type Service, unary } from "../../../base/rpc/server.ts";
import { RpcError } from "../../../base/rpc/status.ts";
import type { BuildSession } from "../../../base/spec/builder/session.ts";
import {
  PongResponse,
  type Result,
  type ReturnRequest,
  type SolveRequest,
  SolveResponse,
} from "../../../base/spec/buildkit/gateway.gen.ts";
import { buildIdKey, LlbBridge } from "../../../base/spec/buildkit/methods.ts";
import type { WorkerInfo } from "./backend.ts";
import type { BuildJob, Builds } from "./builds.ts";
import { apiCaps, frontendCaps } from "./caps.ts";
import { buildFailure } from "./failure.ts";
import type { SolveOrder } from "./parse-request.ts";
import { workerRecord } from "./worker.ts";

/** Results that one build may refer to. */
const maxRefs = 100;

/**
 * A build that its client drives through the gateway: `Control.Solve` without a frontend opens it, the client asks for solves and at last
 * returns one of their results, which is then what is exported. A solve here is a promise: it is built when it is returned or evaluated.
 */
export class GatewayBuild {
  readonly job: BuildJob;
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly #orders = new Map<string, SolveOrder>();
  readonly #returned = Promise.withResolvers<SolveOrder | undefined>();
  #count = 0;

  constructor(job: BuildJob, session: BuildSession, signal: AbortSignal) {
    this.job = job;
    this.session = session;
    this.signal = signal;
    this.#returned.promise.catch(() => undefined); // whoever waits for it sees it
    signal.addEventListener("abort", () => this.#returned.reject(signal.reason), { once: true });
    if (signal.aborted) this.#returned.reject(signal.reason);
  }

  /** What the client decided on: the order to build and export; undefined: nothing (it only asked). Rejects with the client's own failure. */
  get returned(): Promise<SolveOrder | undefined> {
    return this.#returned.promise;
  }

  /** Keeps an order under a name that the client may return or evaluate. */
  promise(order: SolveOrder): string {
    if (this.#orders.size >= maxRefs) throw invalid(`a build may have ${maxRefs} results`);
    const ref = `${this.job.ref}-${++this.#count}`;
    this.#orders.set(ref, order);
    return ref;
  }

  order(ref: string): SolveOrder {
    const order = this.#orders.get(ref);
    if (!order) throw new TugError("not-found", `no such ref ${ref}`);
    return order;
  }

  finish({ result, error }: ReturnRequest): void {
    if (error) this.#returned.reject(new RpcError(error.code, error.message, error.details));
    else this.#returned.resolve(this.#chosen(result));
  }

  #chosen(result: Result | undefined): SolveOrder | undefined {
    const refs = [
      result?.ref?.id,
      result?.refDeprecated,
      ...Object.values(result?.refs?.refs ?? {}).map((ref) => ref.id),
      ...Object.values(result?.refsDeprecated?.refs ?? {}),
    ].filter((ref) => ref !== undefined && ref !== "");
    const [ref] = refs;
    return ref === undefined ? undefined : this.order(ref);
  }
}

export interface BridgeDeps {
  readonly builds: Builds;
  readonly gateways: ReadonlyMap<string, GatewayBuild>;
  readonly worker: () => WorkerInfo;
}

/** The gateway's methods: what clients that drive a Dockerfile build themselves (buildx, compose) call. */
export function bridgeServices(deps: BridgeDeps): readonly Service[] {
  return [
    unary(LlbBridge.ping, async () =>
      PongResponse.create({
        frontendAPICaps: frontendCaps(),
        llbCaps: apiCaps(),
        workers: [workerRecord(deps.worker())],
      }),
    ),
    unary(LlbBridge.solve, async (request, { metadata, signal }) => {
      const gateway = await gatewayOf(deps, metadata, signal);
      return await solve(deps, gateway, request, signal);
    }),
    unary(LlbBridge.evaluate, async ({ ref }, { metadata, signal }) => {
      const gateway = await gatewayOf(deps, metadata, signal);
      await evaluate(deps, gateway, gateway.order(ref), signal);
      return {};
    }),
    unary(LlbBridge.return, async (request, { metadata, signal }) => {
      (await gatewayOf(deps, metadata, signal)).finish(request);
      return {};
    }),
    unary(LlbBridge.inputs, async () => ({ definitions: {} })),
    unary(LlbBridge.warn, async (request, { metadata, signal }) => {
      const { job } = await gatewayOf(deps, metadata, signal);
      job.progress.warning({
        vertex: undefined,
        rule: "",
        short: Buffer.from(request.short).toString(),
        detail: request.detail.map((line) => Buffer.from(line).toString()),
        url: request.url,
        location: undefined,
      });
      return {};
    }),
  ];
}

/** The build that a call belongs to. The client begins to drive before its order has arrived: then it is waited for. */
async function gatewayOf(deps: BridgeDeps, metadata: Metadata, signal: AbortSignal): Promise<GatewayBuild> {
  const id = first(metadata, buildIdKey) ?? "";
  if (id !== "" && !deps.gateways.has(id)) await deps.builds.get(id, signal);
  const gateway = deps.gateways.get(id);
  if (!gateway) throw new TugError("not-found", `no such build ${id}`);
  return gateway;
}

async function solve(
  deps: BridgeDeps,
  gateway: GatewayBuild,
  request: SolveRequest,
  signal: AbortSignal,
): Promise<SolveResponse> {
  if (request.definition && request.definition.def.length > 0 && request.frontend === "")
    throw rawDefinition();
  if (Object.keys(request.frontendInputs).length > 0)
    throw new TugError(
      "not-implemented",
      "a build cannot take another build's result as its input here: build that first and name its image",
    );
  const order: SolveOrder = {
    ...gateway.job.order,
    frontend: request.frontend,
    attrs: request.frontendOpt,
    cacheImports: request.cacheImports,
  };
  const until = AbortSignal.any([signal, gateway.signal]);
  const requestId = request.frontendOpt["requestid"];
  if (requestId !== undefined && requestId !== "") {
    try {
      const metadata = await deps.builds.call(requestId, gateway.job, order, gateway.session, until);
      return SolveResponse.create({ result: { metadata: { ...metadata } } });
    } catch (error) {
      throw buildFailure(error, gateway.job.progress.sources);
    }
  }
  const ref = gateway.promise(order);
  if (request.evaluate) await evaluate(deps, gateway, order, signal);
  return request.allowResultReturn
    ? SolveResponse.create({
        result: request.allowResultArrayRef ? { ref: { id: ref } } : { refDeprecated: ref },
      })
    : SolveResponse.create({ ref });
}

async function evaluate(
  { builds }: BridgeDeps,
  gateway: GatewayBuild,
  order: SolveOrder,
  signal: AbortSignal,
): Promise<void> {
  const until = AbortSignal.any([signal, gateway.signal]);
  try {
    await builds.build(gateway.job, { ...order, exporters: [], cacheExports: [] }, gateway.session, until);
  } catch (error) {
    throw buildFailure(error, gateway.job.progress.sources);
  }
}

export const rawDefinition = () =>
  new TugError(
    "not-implemented",
    "a raw LLB definition cannot be built: this builder builds Dockerfiles (frontend dockerfile.v0)",
  );
