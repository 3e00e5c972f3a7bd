/** So many bytes are unpacked before they are given to the disk. */
const step = 24 << 20;

/**
 * Gives what is unpacked to the disk while more is, so that the sync before the commit has little left to wait for. One sync at a time for
 * all layers: it takes everything that lies on the file system.
 */
export class WriteBehind {
  readonly #writeBack: () => Promise<void>;
  #bytes = 0;
  #running: Promise<void> | undefined;
  #failures = 0;
  #failure: unknown;

  constructor(writeBack: () => Promise<void>) {
    this.#writeBack = writeBack;
  }

  /** How many syncs have failed so far. */
  get failures(): number {
    return this.#failures;
  }

  /** So many bytes more were unpacked. */
  wrote(bytes: number): void {
    this.#bytes += bytes;
    if (this.#running || this.#bytes < step) return;
    this.#bytes = 0;
    this.#running = this.#writeBack()
      .catch((error: unknown) => {
        this.#failures++;
        this.#failure = error;
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Waits for the sync that is under way; throws when one has failed since there were `failures`: the kernel tells of lost writes once. */
  async settled(failures: number): Promise<void> {
    await this.#running;
    if (this.#failures > failures) throw this.#failure;
  }
}
