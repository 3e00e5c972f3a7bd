import type { LogRecord } from "../logging.ts";

/** One line of a container's output on its way to a log service. */
export interface LogMessage {
  readonly stream: "stdout" | "stderr";
  /** Of its first piece; nanoseconds since the epoch. */
  readonly time: bigint;
  /** Without its newline. */
  readonly text: Buffer;
  /** The line was too long for one message and goes on in the next. */
  readonly partial: boolean;
}

/** Services limit a message; Docker cuts lines at 16 KiB. */
const limit = 16 * 1024;

interface Open {
  readonly time: bigint;
  readonly parts: Buffer[];
  length: number;
}

/** Puts records together into lines. A line that is not ended yet is held back until it is, or until `flush`. */
export class LineAssembler {
  readonly #open = new Map<"stdout" | "stderr", Open>();

  /** Nothing is held back. */
  get idle(): boolean {
    return this.#open.size === 0;
  }

  *add(record: LogRecord): Generator<LogMessage> {
    const bytes = Buffer.from(record.bytes);
    const text = record.partial || bytes.at(-1) !== 10 ? bytes : bytes.subarray(0, -1);
    const open = this.#open.get(record.stream) ?? { time: record.time, parts: [], length: 0 };
    open.parts.push(text);
    open.length += text.length;
    this.#open.set(record.stream, open);
    if (!record.partial || open.length >= limit) yield* this.#end(record.stream, record.partial);
  }

  *flush(): Generator<LogMessage> {
    for (const stream of [...this.#open.keys()]) yield* this.#end(stream, false);
  }

  *#end(stream: "stdout" | "stderr", goesOn: boolean): Generator<LogMessage> {
    const open = this.#open.get(stream);
    if (!open) return;
    this.#open.delete(stream);
    const whole = Buffer.concat(open.parts);
    let from = 0;
    do {
      const text = whole.subarray(from, from + limit);
      from += limit;
      yield { stream, time: open.time, text, partial: goesOn || from < whole.length };
    } while (from < whole.length);
  }
}
