import type { ProgressMessage } from "../../client/images/progress.ts";

/** Progress that is told by calls, as a stream to be shown; of what is not shown yet only each line's newest message is kept. */
export class ProgressFeed {
  readonly #waiting = new Map<string, ProgressMessage>();
  #wake: (() => void) | undefined;

  tell(message: ProgressMessage): void {
    this.#waiting.set(`${message.id} ${message.status}`, message);
    this.#wake?.();
  }

  /** Everything told until `work` has settled; its failure is thrown after that. */
  async *during(work: Promise<unknown>): AsyncGenerator<ProgressMessage, void, void> {
    let settled = false;
    const end = () => {
      settled = true;
      this.#wake?.();
    };
    work.then(end, end);
    for (;;) {
      const messages = [...this.#waiting.values()];
      this.#waiting.clear();
      yield* messages;
      if (this.#waiting.size > 0) continue;
      if (settled) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await work;
  }
}
