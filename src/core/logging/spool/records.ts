import type { LogReadOptions, LogRecord } from "../logging.ts";
import { findHeader } from "./line.ts";
import { LineClock } from "./line-clock.ts";

/** Decodes whole spool lines into records, for readers that want them one by one. */
export class RecordDecoder {
  readonly #options: LogReadOptions;
  readonly #clock = new LineClock();
  #ended = false;

  constructor(options: LogReadOptions) {
    this.#options = options;
  }

  /** True once a line after `until` was seen. */
  get ended(): boolean {
    return this.#ended;
  }

  *decode(input: Buffer): Generator<LogRecord> {
    const { since, until } = this.#options;
    for (let at = 0; at < input.length; ) {
      const newline = input.indexOf(10, at);
      const end = newline < 0 ? input.length : newline;
      const header = findHeader(input, at, end);
      const line = at;
      at = end + 1;
      if (header === 0) continue;
      const text = line + header;
      const isOut = input[text - 5] === 117;
      if (!(isOut ? this.#options.stdout : this.#options.stderr)) continue;
      const time = this.#clock.time(input, line);
      if (since !== undefined && time < since) continue;
      if (until !== undefined && time > until) {
        this.#ended = true;
        return;
      }
      const full = input[text - 2] === 70;
      yield {
        stream: isOut ? "stdout" : "stderr",
        time,
        // A copy: the input is overwritten by the next read.
        bytes: Buffer.from(input.subarray(text, full ? end + 1 : end)),
        partial: !full,
      };
    }
  }
}
