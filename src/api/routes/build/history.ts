import { notFound } from "../../../base/lib/errors.ts";
import { type Service, serverStream, unary } from "../../../base/rpc/server.ts";
import {
  type BuildHistoryEvent,
  BuildHistoryRecord,
  type BuildResultInfo,
} from "../../../base/spec/buildkit/control.gen.ts";
import { Control } from "../../../base/spec/buildkit/methods.ts";
import { attachmentType } from "./attachments.ts";
import type { BuildJob, Builds } from "./builds.ts";
import { timestampOfMs } from "./progress-log.ts";

const eventType = { started: 0, complete: 1, deleted: 2 } as const;
type Kind = keyof typeof eventType;

/** Events that wait for a reader who lags; past that it starts again from what is known. */
const maxQueued = 1_000;

/** The history of builds: what is running and the last ones that are over. */
export function historyServices(builds: Builds): readonly Service[] {
  return [
    serverStream(Control.listenBuildHistory, async (request, send, { signal }) => {
      const matches = (job: BuildJob) =>
        (request.ref === "" || job.ref === request.ref) &&
        (!request.activeOnly || job.completed === undefined);
      const queue: { readonly type: Kind; readonly job: BuildJob }[] = [];
      let wake = Promise.withResolvers<void>();
      using _listening = builds.listen((event) => {
        if (queue.length < maxQueued) queue.push(event);
        wake.resolve();
      });
      const known = builds.all.filter(matches);
      const shown = request.limit > 0 ? known.slice(-request.limit) : known;
      for (const job of shown) await send(eventOf(job.completed === undefined ? "started" : "complete", job));
      if (request.earlyExit) return;
      signal.addEventListener("abort", () => wake.resolve(), { once: true });
      while (!signal.aborted) {
        for (let event = queue.shift(); event; event = queue.shift()) {
          if (request.ref === "" || event.job.ref === request.ref) await send(eventOf(event.type, event.job));
        }
        await wake.promise;
        wake = Promise.withResolvers();
      }
    }),
    unary(Control.updateBuildHistory, async ({ ref, pinned, delete: remove, finalize }) => {
      const job = builds.find(ref);
      if (!job) throw notFound(`no such build ${ref}`);
      if (remove) builds.forget(ref);
      else if (!finalize) job.pinned = pinned;
      return {};
    }),
  ];
}

/** The only result, or those of several platforms by theirs. */
function results(job: BuildJob): Partial<Pick<BuildHistoryRecord, "result" | "results">> {
  const all = job.attachments().map(({ platform, type, digest, bytes }): [string, BuildResultInfo] => {
    const annotations = { "in-toto.io/predicate-type": type };
    const attestation = { mediaType: attachmentType, digest, size: BigInt(bytes.length), annotations };
    return [platform, { attestations: [attestation] }];
  });
  const [only] = all;
  return all.length === 1 && only ? { result: only[1] } : { results: Object.fromEntries(all) };
}

function eventOf(type: Kind, job: BuildJob): BuildHistoryEvent {
  const { total, completed, cached, warnings } = job.progress.counts;
  return {
    type: eventType[type],
    record: BuildHistoryRecord.create({
      ref: job.ref,
      frontend: job.order.frontend,
      frontendAttrs: { ...job.order.attrs },
      exporters: job.order.exporters.map((exporter) => ({
        type: exporter.type,
        attrs: { ...exporter.attrs },
      })),
      error: job.error && {
        code: job.error.status,
        message: job.error.message,
        details: [...job.error.details],
      },
      createdAt: timestampOfMs(job.created),
      completedAt: timestampOfMs(job.completed),
      exporterResponse: { ...job.response },
      ...results(job),
      generation: 1,
      pinned: job.pinned,
      numCachedSteps: cached,
      numTotalSteps: total,
      numCompletedSteps: completed,
      numWarnings: warnings,
    }),
  };
}
