import type { Digest } from "../../base/lib/ids.ts";
import type { Lease } from "./content.ts";

/** Live leases, counted per digest. They are kept in memory only, so those of a dead daemon have ended by themselves. */
export class Leases {
  readonly #held = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.#held.has(digest);
  }

  open(digests: readonly Digest[] = []): Lease {
    const mine = new Set<Digest>();
    let ended = false;
    const add = (digest: Digest) => {
      if (ended) throw new Error("lease has ended");
      if (mine.has(digest)) return;
      mine.add(digest);
      this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    };
    for (const digest of digests) add(digest);
    return {
      add,
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        for (const digest of mine) {
          const left = (this.#held.get(digest) ?? 1) - 1;
          if (left === 0) this.#held.delete(digest);
          else this.#held.set(digest, left);
        }
      },
    };
  }
}
