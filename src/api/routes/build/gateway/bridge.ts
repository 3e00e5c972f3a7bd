import { notFound } from "../../../../base/lib/errors.ts";
import { first, type Metadata } from "../../../../base/rpc/metadata.ts";
import { type Service, unary } from "../../../../base/rpc/server.ts";
import {
  PongResponse,
  type SolveRequest,
  SolveResponse,
} from "../../../../base/spec/buildkit/gateway.gen.ts";
import { buildIdKey, LlbBridge } from "../../../../base/spec/buildkit/methods.ts";
import type { WorkerInfo } from "../backend.ts";
import type { Builds } from "../builds.ts";
import { buildFailure } from "../failure.ts";
import type { SolveOrder } from "../parse-request.ts";
import { solved } from "../result.ts";
import { workerRecord } from "../worker.ts";
import type { GatewayBuild } from "./build.ts";
import { apiCaps, frontendCaps } from "./caps.ts";
import { gatewayFiles } from "./files.ts";

export interface BridgeDeps {
  readonly builds: Builds;
  readonly worker: () => WorkerInfo;
  /** The build that a call belongs to. */
  readonly gateway: (metadata: Metadata, signal: AbortSignal) => Promise<GatewayBuild>;
}

/** The gateway's methods: what clients that drive a build themselves (buildx, compose, whoever makes LLB) call. */
export function bridgeServices(deps: BridgeDeps): readonly Service[] {
  const { gateway } = deps;
  return [
    unary(LlbBridge.ping, async () =>
      PongResponse.create({
        frontendAPICaps: frontendCaps(),
        llbCaps: apiCaps(),
        workers: [workerRecord(deps.worker())],
      }),
    ),
    unary(LlbBridge.solve, async (request, { metadata, signal }) =>
      told(await gateway(metadata, signal), signal, (build, until) => solve(deps, build, request, until)),
    ),
    unary(LlbBridge.evaluate, async ({ ref }, { metadata, signal }) =>
      told(await gateway(metadata, signal), signal, async (build, until) => {
        await build.ref(ref).target.evaluate({ signal: until, progress: build.job.progress });
        return {};
      }),
    ),
    unary(LlbBridge.return, async (request, { metadata, signal }) => {
      (await gateway(metadata, signal)).finish(request);
      return {};
    }),
    ...gatewayFiles(deps.builds, gateway),
    unary(LlbBridge.inputs, async (_, { metadata, signal }) => {
      const { order } = await gateway(metadata, signal);
      return { definitions: { ...order.inputs } };
    }),
    unary(LlbBridge.warn, async (request, { metadata, signal }) => {
      const { job } = await gateway(metadata, signal);
      job.progress.warning({
        vertex: undefined,
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
export async function namedGateway(
  deps: { readonly builds: Builds; readonly gateways: ReadonlyMap<string, GatewayBuild> },
  metadata: Metadata,
  signal: AbortSignal,
): Promise<GatewayBuild> {
  const id = first(metadata, buildIdKey) ?? "";
  if (id !== "" && !deps.gateways.has(id)) await deps.builds.get(id, signal);
  const gateway = deps.gateways.get(id);
  if (!gateway) throw notFound(`no such build ${id}`);
  return gateway;
}

/** A failed build comes with its step and its lines. */
async function told<T>(
  gateway: GatewayBuild,
  signal: AbortSignal,
  work: (gateway: GatewayBuild, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await work(gateway, AbortSignal.any([signal, gateway.signal]));
  } catch (error) {
    throw buildFailure(error, gateway.job.progress.sources);
  }
}

async function solve(
  { builds }: BridgeDeps,
  gateway: GatewayBuild,
  request: SolveRequest,
  signal: AbortSignal,
): Promise<SolveResponse> {
  const { job, session } = gateway;
  const { frontend, frontendOpt: attrs, frontendInputs: inputs, cacheImports, definition } = request;
  const {
    definition: _,
    inputs: __,
    ...common
  } = { definition: undefined, inputs: undefined, ...gateway.order };
  const order: SolveOrder = {
    ...common,
    frontend,
    attrs,
    cacheImports,
    inputs,
    ...(frontend === "" && { definition: definition ?? { def: [], metadata: {}, source: undefined } }),
  };
  const requestId = attrs["requestid"];
  if (requestId !== undefined && requestId !== "") {
    const metadata = await builds.call(requestId, job, order, session, signal);
    return SolveResponse.create({ result: { metadata: { ...metadata } } });
  }
  const planned = await builds.plan(job, order, session, signal);
  const refs = gateway.keep(order, planned);
  if (request.evaluate)
    await Promise.all(refs.map(({ target }) => target.evaluate({ signal, progress: job.progress })));
  return solved(refs, { ...request, several: planned.several });
}
