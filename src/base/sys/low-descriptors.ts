import { closeFd, openFd } from "./net/sockets.ts";

/**
 * Small descriptor numbers kept free for a library that needs one: libnftables waits with select(2), which knows numbers below
 * FD_SETSIZE (1024) only, and the C library ends the process over a larger one. The kernel gives the lowest number that is free (open(2)).
 */
export class LowDescriptors implements Disposable {
  readonly #held: number[] = [];
  readonly #count: number;

  constructor(count = 4) {
    this.#count = count;
    this.#hold();
  }

  /** Runs `section`, synchronous and leaving nothing open, with the numbers to be had. */
  lend<T>(section: () => T extends PromiseLike<unknown> ? never : T): T {
    this.#free();
    try {
      return section();
    } finally {
      this.#hold();
    }
  }

  [Symbol.dispose](): void {
    this.#free();
  }

  #hold(): void {
    while (this.#held.length < this.#count) this.#held.push(openFd("/dev/null"));
  }

  #free(): void {
    for (const fd of this.#held.splice(0)) closeFd(fd);
  }
}
