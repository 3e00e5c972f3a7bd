import type { Lease } from "../../core/content/content.ts";

/** How long blobs of a load that broke off wait for their sender to come back: an hour, in ms. */
const keptFor = 3_600_000;

/** What one load received. Unless it was `done`, or nobody asked to keep it, its blobs outlive it for an hour. */
export interface Reception extends AsyncDisposable {
  /** Undefined when nothing is to be kept. */
  readonly lease: Lease | undefined;
  /** The load succeeded: images hold what they need. */
  done(): void;
}

/**
 * Blobs of loads that did not get to their end, so that the next attempt (`tug image send`) leaves them out. They are in inventories
 * meanwhile, and end with the daemon.
 */
export class ReceivedBlobs {
  readonly #lease: () => Lease;
  readonly #collect: () => Promise<void>;
  readonly #held = new Map<Lease, ReturnType<typeof setTimeout>>();

  constructor(deps: { readonly lease: () => Lease; readonly collect: () => Promise<void> }) {
    this.#lease = deps.lease;
    this.#collect = deps.collect;
  }

  open(keep: boolean): Reception {
    const lease = keep ? this.#lease() : undefined;
    let kept = true;
    return {
      lease,
      done: () => {
        kept = false;
      },
      [Symbol.asyncDispose]: async () => {
        if (!lease) return;
        if (!kept) {
          lease[Symbol.dispose]();
          // What described the archive is held by nothing now.
          return await this.#collect();
        }
        const timer = setTimeout(() => this.#end(lease), keptFor);
        timer.unref();
        this.#held.set(lease, timer);
      },
    };
  }

  /** Prune: nobody is waited for any more. */
  async release(): Promise<void> {
    if (this.#held.size === 0) return;
    for (const lease of [...this.#held.keys()]) this.#end(lease);
    await this.#collect();
  }

  #end(lease: Lease): void {
    clearTimeout(this.#held.get(lease));
    this.#held.delete(lease);
    lease[Symbol.dispose]();
  }
}
