import type { Clock } from "../../../base/lib/clock.ts";
import { conflict, invalid, messageOf, notFound, TugError } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import type { RpcError } from "../../../base/rpc/status.ts";
import type {
  Builder,
  BuildOutcome,
  CombinedTarget,
  PlannedBuild,
} from "../../../base/spec/builder/builder.ts";
import type { BuildRequest } from "../../../base/spec/builder/request.ts";
import type { BuildSession } from "../../../base/spec/builder/session.ts";
import { type Attachment, attachmentOf } from "./attachments.ts";
import { buildFailure } from "./failure.ts";
import { foreignFrontend, parseOrder, type SolveOrder } from "./parse-request.ts";
import { ProgressLog } from "./progress-log.ts";
import type { Returned } from "./result.ts";

/** `several`: its results are told apart by platform. */
export type PlannedOrder = PlannedBuild & { readonly several: boolean; readonly request: BuildRequest };

/** A build that a frontend's image plans. */
export interface ForeignBuild {
  readonly job: BuildJob;
  readonly order: SolveOrder;
  readonly session: BuildSession;
  readonly signal: AbortSignal;
}

export interface BuildsDeps {
  readonly builder: Builder;
  /** Has a frontend's image plan; `use` looks at what it returned while that is held. */
  readonly through: <T>(build: ForeignBuild, use: (returned: Returned) => T | Promise<T>) => Promise<T>;
  readonly log: Log;
  readonly clock: Clock;
}

/** Builds that are over and still known: their progress for whoever asks late, their outcome for the history. */
const maxFinished = 32;
/** Clients ask for a build's progress while they order it: the question may come first. */
const waitMs = 10_000;
const maxRefLength = 256;

/** The methods of `Builder.call`, by the names that requests have on the wire. */
const subrequests: Readonly<Record<string, "check" | "outline" | "targets">> = {
  "frontend.lint": "check",
  "frontend.outline": "outline",
  "frontend.targets": "targets",
};

/** A build from its order to its end, and some time after. */
export class BuildJob {
  readonly ref: string;
  readonly progress: ProgressLog;
  /** Milliseconds since the epoch. */
  readonly created: number;
  completed: number | undefined;
  order: SolveOrder;
  response: Readonly<Record<string, string>> = {};
  error: RpcError | undefined;
  pinned = false;
  provenance: BuildOutcome["provenance"] | undefined;
  #attachments: readonly Attachment[] | undefined;
  readonly #abort = new AbortController();

  constructor(order: SolveOrder, clock: Clock) {
    this.ref = order.ref;
    this.order = order;
    this.created = clock.now();
    this.progress = new ProgressLog({ clock });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What its record in the history has: nothing before it was built. */
  attachments(): readonly Attachment[] {
    if (this.completed === undefined || this.error) return [];
    this.#attachments ??= (this.provenance?.() ?? []).map(attachmentOf);
    return this.#attachments;
  }

  cancel(): void {
    this.#abort.abort(new TugError("cancelled", "context canceled"));
  }
}

type Listener = (event: {
  readonly type: "started" | "complete" | "deleted";
  readonly job: BuildJob;
}) => void;

/** The builds of this daemon that clients of BuildKit's protocol ordered: running ones, and the last ones that are over. */
export class Builds {
  readonly #deps: BuildsDeps;
  readonly #jobs = new Map<string, BuildJob>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #listeners = new Set<Listener>();

  constructor(deps: BuildsDeps) {
    this.#deps = deps;
  }

  get all(): readonly BuildJob[] {
    return [...this.#jobs.values()];
  }

  find(ref: string): BuildJob | undefined {
    return this.#jobs.get(ref);
  }

  /** Runs `work` as the build `order.ref`; what it throws is told with the build's sources. */
  async run(
    order: SolveOrder,
    session: BuildSession,
    signal: AbortSignal,
    work: (job: BuildJob, signal: AbortSignal) => Promise<Readonly<Record<string, string>>>,
  ): Promise<Readonly<Record<string, string>>> {
    const job = this.#begin(order);
    const until = AbortSignal.any([signal, session.signal, job.signal]);
    try {
      job.response = await work(job, until);
      return job.response;
    } catch (error) {
      const failure = until.aborted ? new TugError("cancelled", "context canceled", { cause: error }) : error;
      job.error = buildFailure(failure, job.progress.sources);
      this.#deps.log.debug("build failed", { ref: job.ref, error: messageOf(error) });
      throw job.error;
    } finally {
      this.#end(job);
    }
  }

  /** Builds what the order says, within a job. */
  async build(
    job: BuildJob,
    order: SolveOrder,
    session: BuildSession,
    signal: AbortSignal,
  ): Promise<BuildOutcome> {
    using planned = await this.plan(job, order, session, signal);
    const outcome = await planned.build(planned.request, { signal, progress: job.progress });
    job.provenance = outcome.provenance;
    return outcome;
  }

  /** Plans what the order says, within a job. */
  async plan(
    job: BuildJob,
    order: SolveOrder,
    session: BuildSession,
    signal: AbortSignal,
  ): Promise<PlannedOrder> {
    if (foreignFrontend(order) !== undefined) return await this.#planForeign({ job, order, session, signal });
    const request = parseOrder(order);
    let foreign: PlannedOrder | undefined;
    const planned = await this.#deps.builder.plan(request, session, {
      signal,
      progress: job.progress,
      onPlan: (plan) => job.progress.planned(plan),
      // A frontend that was named so already knows of it, and may have the file built all the same.
      ...(order.attrs["cmdline"] === undefined && {
        forward: async (source: string, cmdline: string) => {
          const attrs = { ...order.attrs, source, cmdline };
          foreign = await this.#planForeign({
            job,
            order: { ...order, frontend: "gateway.v0", attrs },
            session,
            signal,
          });
        },
      }),
    });
    if (foreign) return foreign;
    const several = request.multiPlatform || planned.targets.length > 1;
    return Object.assign(planned, { several, request });
  }

  /** A frontend's image plans. */
  async #planForeign(build: ForeignBuild): Promise<PlannedOrder> {
    return await this.#deps.through(build, ({ chosen }) => {
      const several = chosen?.order.attrs["multi-platform"] === "true";
      const parsed = parseOrder(build.order);
      const request = { ...parsed, multiPlatform: parsed.multiPlatform || several };
      const planned = this.#deps.builder.combine(chosen?.targets ?? [], request, build.session);
      return Object.assign(planned, { several, request });
    });
  }

  /** Builds what a client put together of results that were planned. */
  async combine(
    job: BuildJob,
    order: SolveOrder,
    session: BuildSession,
    targets: readonly CombinedTarget[],
    signal: AbortSignal,
  ): Promise<BuildOutcome> {
    const request = parseOrder(order);
    using planned = this.#deps.builder.combine(targets, request, session);
    const outcome = await planned.build(request, { signal, progress: job.progress });
    job.provenance = outcome.provenance;
    return outcome;
  }

  /** What an image says of itself. */
  async image(
    job: BuildJob,
    session: BuildSession,
    asked: Parameters<Builder["image"]>[0],
    signal: AbortSignal,
  ): ReturnType<Builder["image"]> {
    return await this.#deps.builder.image(asked, session, { signal, progress: job.progress });
  }

  /** Answers a question about a Dockerfile (`--call`); the names of the reply are those of BuildKit's results' metadata. */
  async call(
    requestId: string,
    job: BuildJob,
    order: SolveOrder,
    session: BuildSession,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, Uint8Array>>> {
    if (foreignFrontend(order) !== undefined)
      return await this.#deps.through({ job, order, session, signal }, ({ metadata }) => metadata);
    if (requestId === "frontend.subrequests.describe") return describeSubrequests();
    const method = Object.hasOwn(subrequests, requestId) ? subrequests[requestId] : undefined;
    if (!method) throw new TugError("not-implemented", `unsupported request ${requestId}`);
    return await this.#deps.builder.call(method, parseOrder(order), session, {
      signal,
      progress: job.progress,
    });
  }

  /** The build of that ref; waits for one that is about to be ordered. */
  async get(ref: string, signal: AbortSignal): Promise<BuildJob> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const known = this.#jobs.get(ref);
    if (known) return known;
    const waiting = this.#waiting.get(ref) ?? new Set();
    this.#waiting.set(ref, waiting.add(resolve));
    const stop = new AbortController();
    try {
      const until = AbortSignal.any([signal, stop.signal]);
      await Promise.race([promise, this.#deps.clock.sleep(waitMs, until)]);
    } finally {
      stop.abort();
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(ref);
    }
    const job = this.#jobs.get(ref);
    if (!job) throw notFound(`no such job ${ref}`);
    return job;
  }

  /** Says whether there was such a build to cancel. */
  cancel(ref: string): boolean {
    const job = this.#jobs.get(ref);
    if (!job || job.completed !== undefined) return false;
    job.cancel();
    return true;
  }

  forget(ref: string): void {
    const job = this.#jobs.get(ref);
    if (!job) return;
    if (job.completed === undefined) throw conflict(`build ${ref} is running`);
    this.#jobs.delete(ref);
    this.#tell("deleted", job);
  }

  /** Calls back for what changes from now on, until the disposable is disposed of. */
  listen(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #begin(order: SolveOrder): BuildJob {
    const { ref } = order;
    if (ref === "" || ref.length > maxRefLength) throw invalid("the build has no valid ref");
    const before = this.#jobs.get(ref);
    if (before && before.completed === undefined) throw conflict(`job ID ${ref} exists`);
    const job = new BuildJob(order, this.#deps.clock);
    this.#jobs.delete(ref);
    this.#jobs.set(ref, job);
    for (const wake of this.#waiting.get(ref) ?? []) wake();
    this.#tell("started", job);
    return job;
  }

  #end(job: BuildJob): void {
    job.completed = this.#deps.clock.now();
    job.progress.end();
    this.#tell("complete", job);
    const finished = this.all.filter((other) => other.completed !== undefined && !other.pinned);
    for (const old of finished.slice(0, Math.max(0, finished.length - maxFinished)))
      this.#jobs.delete(old.ref);
  }

  #tell(type: "started" | "complete" | "deleted", job: BuildJob): void {
    for (const listener of this.#listeners) listener({ type, job });
  }
}

function describeSubrequests(): Readonly<Record<string, Uint8Array>> {
  const described = Object.keys(subrequests).map((name) => ({
    Name: name,
    Version: "1.0.0",
    Type: "rpc",
    Metadata: [{ Name: "result.json" }, { Name: "result.txt" }],
  }));
  return {
    "result.json": Buffer.from(JSON.stringify(described)),
    "result.txt": Buffer.from(described.map(({ Name }) => `${Name}\n`).join("")),
  };
}
