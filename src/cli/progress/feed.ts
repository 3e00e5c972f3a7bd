import { reportsOf } from "../../base/lib/reports.ts";
import { Signal } from "../../base/lib/signal.ts";
import type { ProgressMessage } from "../../client/images/progress.ts";

/** Progress that is told by calls, as a stream to be shown; of what is not shown yet only each line's newest message is kept. */
export class ProgressFeed {
  readonly #waiting = new Map<string, ProgressMessage>();
  readonly #told = new Signal();

  tell(message: ProgressMessage): void {
    this.#waiting.set(`${message.id} ${message.status}`, message);
    this.#told.notify();
  }

  /** Everything told until `work` has settled; its failure is thrown after that. */
  during(work: Promise<unknown>): AsyncGenerator<ProgressMessage, void, undefined> {
    return reportsOf(work, this.#told, () => {
      const messages = [...this.#waiting.values()];
      this.#waiting.clear();
      return messages;
    });
  }
}
