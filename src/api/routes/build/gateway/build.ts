import { invalid, notFound, TugError } from "../../../../base/lib/errors.ts";
import { RpcError } from "../../../../base/rpc/status.ts";
import type { PlannedBuild } from "../../../../base/spec/builder/builder.ts";
import type { BuildSession } from "../../../../base/spec/builder/session.ts";
import type { Result, ReturnRequest } from "../../../../base/spec/buildkit/gateway.gen.ts";
import type { Platform } from "../../../../base/spec/oci/descriptor.ts";
import { hostPlatform, parsePlatform } from "../../../../base/spec/oci/platform.ts";
import type { BuildJob } from "../builds.ts";
import type { SolveOrder } from "../parse-request.ts";
import { type Chosen, configKey, type KnownRef, platformsKey, type Returned } from "../result.ts";

/** Results that one build may refer to. */
const maxRefs = 1_000;

/**
 * A build that its client drives through the gateway: `Control.Solve` without a frontend opens it, the client asks for solves and at last
 * returns some of their results, which are then what is exported. A solve here is a plan: it is made when it is returned, evaluated or looked at.
 */
export class GatewayBuild implements Disposable {
  readonly job: BuildJob;
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly order: SolveOrder;
  readonly #refs = new Map<string, KnownRef>();
  readonly #planned = new DisposableStack();
  readonly #returned = Promise.withResolvers<Returned>();
  #count = 0;
  #state: "driven" | "returned" | "failed" = "driven";

  /** `order`: what its solves have in common; a frontend's is not the client's. */
  constructor(job: BuildJob, session: BuildSession, signal: AbortSignal, order?: SolveOrder) {
    this.job = job;
    this.session = session;
    this.signal = signal;
    this.order = order ?? job.order;
    this.#returned.promise.catch(() => undefined); // whoever waits for it sees it
    signal.addEventListener("abort", () => this.#returned.reject(signal.reason), { once: true });
    if (signal.aborted) this.#returned.reject(signal.reason);
  }

  /** What the client decided on. Rejects with the client's own failure. */
  get returned(): Promise<Returned> {
    return this.#returned.promise;
  }

  /** It was returned: a result, or a failure. */
  get over(): boolean {
    return this.#state !== "driven";
  }

  get failed(): boolean {
    return this.#state === "failed";
  }

  /** Keeps a plan under names that the client may return, look at or give to other builds; one for each platform. */
  keep(order: SolveOrder, planned: PlannedBuild): readonly KnownRef[] {
    if (this.#planned.disposed) {
      planned[Symbol.dispose]();
      throw new TugError("cancelled", "the build has ended");
    }
    this.#planned.use(planned);
    if (this.#refs.size + planned.targets.length > maxRefs)
      throw invalid(`a build may have ${maxRefs} results`);
    return planned.targets.map((target) => {
      const known = { id: `${this.job.ref}-${++this.#count}`, target, order };
      this.#refs.set(known.id, known);
      return known;
    });
  }

  ref(id: string): KnownRef {
    const known = this.#refs.get(id);
    if (!known) throw notFound(`no such ref ${id}`);
    return known;
  }

  finish({ result, error }: ReturnRequest): void {
    this.#state = error ? "failed" : "returned";
    if (error) {
      this.#returned.reject(new RpcError(error.code, error.message, error.details));
      return;
    }
    try {
      this.#returned.resolve({ chosen: this.#chosen(result), metadata: { ...result?.metadata } });
    } catch (failure) {
      this.#state = "failed";
      this.#returned.reject(failure);
      throw failure;
    }
  }

  [Symbol.dispose](): void {
    this.#planned[Symbol.dispose]();
  }

  #chosen(result: Result | undefined): Chosen | undefined {
    const metadata = result?.metadata ?? {};
    const text = (key: string) =>
      Object.hasOwn(metadata, key) ? Buffer.from(metadata[key] ?? []).toString() : undefined;
    const several = {
      ...result?.refsDeprecated?.refs,
      ...Object.fromEntries(Object.entries(result?.refs?.refs ?? {}).map(([key, { id }]) => [key, id])),
    };
    const single = result?.ref?.id || result?.refDeprecated;
    if (single) {
      const known = this.ref(single);
      const config = text(configKey);
      return { order: known.order, targets: [{ target: known.target, platform: undefined, config }] };
    }
    const platforms = platformsOf(text(platformsKey));
    const ids = platforms ? [...platforms.keys()] : Object.keys(several).sort();
    const targets = ids.map((id) => {
      const known = this.ref(several[id] ?? "");
      const platform = platforms?.get(id) ?? parsePlatform(id, hostPlatform());
      const config = text(`${configKey}/${id}`);
      return { known, target: known.target, platform, config };
    });
    const [first] = targets;
    if (!first) return undefined;
    // Results that are told apart by platform are an index, even when it is one.
    const { order } = first.known;
    return { order: { ...order, attrs: { ...order.attrs, "multi-platform": "true" } }, targets };
  }
}

/** Metadata "refs.platforms": {"Platforms": [{"ID": …, "Platform": {…}}]}; undefined: there is none. */
function platformsOf(text: string | undefined): ReadonlyMap<string, Platform> | undefined {
  if (text === undefined || text === "") return undefined;
  const fail = (cause?: unknown) => invalid("failed to parse the platforms of a result", cause);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw fail(cause);
  }
  const list: unknown = Object(parsed).Platforms;
  if (!Array.isArray(list)) throw fail();
  return new Map(
    list.map((entry: unknown) => {
      const { ID: id, Platform: platform } = Object(entry) as {
        readonly ID?: unknown;
        readonly Platform?: unknown;
      };
      const { os, architecture, variant = "" } = Object(platform) as Readonly<Record<string, unknown>>;
      if (typeof id !== "string" || typeof os !== "string" || typeof architecture !== "string") throw fail();
      if (typeof variant !== "string") throw fail();
      return [id, { os, architecture, ...(variant !== "" && { variant }) }] as const;
    }),
  );
}
