import { invalid, TugError } from "../../../base/lib/errors.ts";
import { type Service, serverStream, unary } from "../../../base/rpc/server.ts";
import type { BuildSession } from "../../../base/spec/builder/session.ts";
import type { SolveRequest } from "../../../base/spec/buildkit/control.gen.ts";
import { Control, Health } from "../../../base/spec/buildkit/methods.ts";
import { attachmentServices } from "./attachments.ts";
import type { BuildCacheBackend, WorkerInfo } from "./backend.ts";
import type { Builds } from "./builds.ts";
import { GatewayBuild } from "./gateway/build.ts";
import { historyServices } from "./history.ts";
import type { SolveOrder } from "./parse-request.ts";
import { sessionService } from "./session/control-session.ts";
import { noSession } from "./session/no-session.ts";
import type { Sessions } from "./session/sessions.ts";
import { usageRecord, versionOf, workerRecord } from "./worker.ts";

export interface ControlDeps {
  readonly builds: Builds;
  readonly gateways: Map<string, GatewayBuild>;
  readonly sessions: Sessions;
  readonly cache: BuildCacheBackend;
  readonly worker: () => WorkerInfo;
}

/** BuildKit's Control service. */
export function controlServices(deps: ControlDeps): readonly Service[] {
  const { builds, sessions, cache, worker } = deps;
  return [
    unary(Control.solve, async (request, { signal }) => {
      const session =
        request.session === "" ? noSession(signal) : await sessions.get(request.session, signal);
      return { exporterResponse: { ...(await solve(deps, request, session, signal)) } };
    }),
    serverStream(Control.status, async ({ ref }, send, { signal }) => {
      const job = await builds.get(ref, signal);
      for await (const news of job.progress.read(signal)) await send(news);
    }),
    unary(Control.diskUsage, async ({ filter }) => ({
      record: (await cache.usage(filter)).map(usageRecord),
    })),
    serverStream(Control.prune, async (request, send, { signal }) => {
      const { all, filter: filters, ...bounds } = request;
      for await (const removed of cache.prune({ all, filters, ...bounds }, signal))
        await send(usageRecord(removed));
    }),
    unary(Control.listWorkers, async () => ({ record: [workerRecord(worker())] })),
    unary(Control.info, async () => ({ buildkitVersion: versionOf(worker()) })),
    sessionService(sessions),
    ...historyServices(builds),
    ...attachmentServices(builds),
    unary(Health.check, async () => ({ status: 1 })),
  ];
}

async function solve(
  deps: ControlDeps,
  request: SolveRequest,
  session: BuildSession,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const { builds, gateways } = deps;
  if (request.sourcePolicy.length > 0)
    throw new TugError(
      "not-implemented",
      "source policies are not applied by this builder: build without one",
    );
  const order = orderOf(request);
  if (request.frontend !== "" || request.definition) {
    return await builds.run(order, session, signal, async (job, until) => {
      return (await builds.build(job, order, session, until)).response;
    });
  }
  return await builds.run(order, session, signal, async (job, until) => {
    using gateway = new GatewayBuild(job, session, until);
    gateways.set(job.ref, gateway);
    try {
      const { chosen } = await gateway.returned;
      if (!chosen) return {};
      const { exporters, cacheExports } = order;
      const final = { ...chosen.order, exporters, cacheExports };
      job.order = final;
      return (await builds.combine(job, final, session, chosen.targets, until)).response;
    } finally {
      gateways.delete(job.ref);
    }
  });
}

function orderOf(request: SolveRequest): SolveOrder {
  if (request.ref === "") throw invalid("the build has no ref");
  const old = request.exporter === "" ? [] : [{ type: request.exporter, attrs: request.exporterAttrs }];
  const cache = request.cache;
  const oldExport =
    cache && cache.exportRef !== ""
      ? [{ type: "registry", attrs: { ...cache.exportAttrs, ref: cache.exportRef } }]
      : [];
  return {
    ref: request.ref,
    frontend: request.frontend,
    attrs: request.frontendAttrs,
    exporters: request.exporters.length > 0 ? request.exporters : old,
    cacheImports: [
      ...(cache?.imports ?? []),
      ...(cache?.importRefs ?? []).map((ref) => ({ type: "registry", attrs: { ref } })),
    ],
    cacheExports: [...(cache?.exports ?? []), ...oldExport],
    entitlements: request.entitlements,
    inputs: request.frontendInputs,
    ...(request.frontend === "" && request.definition && { definition: request.definition }),
  };
}
