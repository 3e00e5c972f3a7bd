import type { Clock } from "../../../../base/lib/clock.ts";
import { conflict, TugError } from "../../../../base/lib/errors.ts";

/** How long a build and the call that brings its context wait for each other. */
const waitMs = 5_000;

interface Meeting {
  readonly offered: PromiseWithResolvers<ReadableStream<Uint8Array>>;
  readonly consumed: PromiseWithResolvers<void>;
  /** A body was offered: a second one is refused. */
  full: boolean;
}

/** Bodies that come in a call of their own and are read by the build that they are for. */
export class Uploads {
  readonly #clock: Clock;
  readonly #meetings = new Map<string, Meeting>();

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Offers a body; resolves when the build has read it. */
  async offer(id: string, body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const meeting = this.#meeting(id);
    if (meeting.full) throw conflict(`build ${id} has its context already`);
    meeting.full = true;
    const { consumed } = meeting;
    const counted = body.pipeThrough(
      new TransformStream({
        flush: () => consumed.resolve(),
      }),
    );
    meeting.offered.resolve(counted);
    const abort = () => consumed.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await consumed.promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#meetings.delete(id);
    }
  }

  /** The body for a build; waits some seconds for it. */
  async take(id: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const meeting = this.#meeting(id);
    const stop = new AbortController();
    try {
      const until = AbortSignal.any([signal, stop.signal]);
      const late = this.#clock.sleep(waitMs, until).then(() => {
        throw new TugError("unavailable", `no context was uploaded for build ${id}`);
      });
      return await Promise.race([meeting.offered.promise, late]);
    } catch (error) {
      this.#meetings.delete(id);
      throw error;
    } finally {
      stop.abort();
    }
  }

  #meeting(id: string): Meeting {
    const known = this.#meetings.get(id);
    if (known) return known;
    const fresh: Meeting = {
      offered: Promise.withResolvers(),
      consumed: Promise.withResolvers(),
      full: false,
    };
    fresh.consumed.promise.catch(() => undefined); // the call that offers sees it
    this.#meetings.set(id, fresh);
    return fresh;
  }
}
