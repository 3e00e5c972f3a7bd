import { reportsOf } from "../../base/lib/reports.ts";
import { Signal } from "../../base/lib/signal.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";

/**
 * Messages from several tasks at once, as one iterable. A slow reader does not hold the work up and does not fill the memory either: of a
 * task's byte counts only the newest is kept.
 */
export class ProgressQueue {
  readonly #messages: ProgressMessage[] = [];
  readonly #pushed = new Signal();

  push(message: ProgressMessage): void {
    const last = this.#messages.at(-1);
    const counts = message.progressDetail?.current !== undefined;
    const older = last?.id === message.id && last?.status === message.status;
    // What has no count is a line of its own.
    if (counts && older && last?.progressDetail?.current !== undefined) this.#messages.pop();
    else if (counts && this.#messages.length > 1000) return;
    this.#messages.push(message);
    this.#pushed.notify();
  }

  /** Runs `work`, which pushes here, and yields its messages; throws what it throws after the last one. */
  drain(work: Promise<void>): AsyncGenerator<ProgressMessage, void, undefined> {
    return reportsOf(work, this.#pushed, () => this.#taken());
  }

  /** One at a time: until it is taken, a newer count may still replace the last one. */
  *#taken(): Generator<ProgressMessage, void, undefined> {
    for (let message = this.#messages.shift(); message; message = this.#messages.shift()) yield message;
  }
}

/** Passes byte counts on at most every 100 ms for each layer, and the last one always. */
export function paced(
  emit: (current: number, total: number) => void,
): (current: number, total: number) => void {
  let next = 0;
  return (current, total) => {
    const now = performance.now();
    if (now < next && current < total) return;
    next = now + 100;
    emit(current, total);
  };
}
