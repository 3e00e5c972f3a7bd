import type { Log } from "../../../base/lib/log.ts";
import { watchRulesets } from "../../../base/sys/net/nft-events.ts";

/** Milliseconds from a change to the look at it, since changes come in bursts; and at least between two looks. */
const settle = 50;
const pause = 1000;

/**
 * Calls `heal` soon after another program changed the host's nftables: a flush takes our table away, a firewall that starts or reloads
 * forgets what let us through.
 */
export class RulesetWatch implements AsyncDisposable {
  readonly #heal: () => Promise<void>;
  readonly #log: Log;
  #watch: Disposable | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();
  #last = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(heal: () => Promise<void>, log: Log) {
    this.#heal = heal;
    this.#log = log;
  }

  /** Watches the network of the calling thread. */
  async start(): Promise<void> {
    if (this.#watch || this.#closed) return;
    try {
      this.#watch = await watchRulesets(() => this.#changed());
    } catch (error) {
      this.#log.warn("changes of the host's nftables are not noticed", { error });
    }
  }

  #changed(): void {
    if (this.#closed || this.#timer) return;
    const delay = Math.max(settle, this.#last + pause - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#last = performance.now();
      this.#running = this.#heal().catch((error: unknown) =>
        this.#log.warn("the host's nftables changed and could not be looked at", { error }),
      );
    }, delay);
    this.#timer.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watch?.[Symbol.dispose]();
    await this.#running;
  }
}
