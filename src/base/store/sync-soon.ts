import { open } from "node:fs/promises";

/** How long a change may wait to be on disk: the syncs of a burst become one. */
const delayMs = 200;

/**
 * Has databases that do not sync each write (`durable: false`) synced soon after: nobody waits for it, and a power cut takes no more than
 * the last moments. Without it their write-ahead log lies in memory until the kernel writes it back, half a minute later.
 */
export class SyncSoon implements AsyncDisposable {
  readonly #files: readonly string[];
  readonly #failed: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();

  /** `databases`: paths of the database files, in the order in which they are to be on disk: what is named before what names it. */
  constructor(deps: { readonly databases: readonly string[]; readonly failed: (error: unknown) => void }) {
    // In WAL mode a commit is in the log; checkpoints sync by themselves (SQLite, "PRAGMA synchronous").
    this.#files = deps.databases.map((path) => `${path}-wal`);
    this.#failed = deps.failed;
  }

  /** Something was written. */
  touch(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#running.then(() => this.#sync()).catch(this.#failed);
    }, delayMs);
  }

  async #sync(): Promise<void> {
    for (const path of this.#files) {
      const file = await open(path, "r");
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
  }
}
