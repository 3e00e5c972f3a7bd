import type { ContainerLog, LogReadOptions, LogRecord } from "../logging.ts";
import { unreadable } from "../options.ts";
import { LogEncoder } from "./encode.ts";
import { readLines } from "./read.ts";
import { RecordDecoder } from "./records.ts";
import type { Spool } from "./spool.ts";

export interface SpoolLogDeps {
  readonly spool: Spool;
  readonly monitorLimit: number;
  readonly details: string;
  /** Shown as LogPath; the spool's own path unless the driver keeps it to itself. */
  readonly path?: string;
  /** False: reading is refused, as Docker does for a driver without its local cache. */
  readonly readable?: boolean;
  /** What the driver keeps besides the spool, let go of before it. */
  readonly onRemove?: () => Promise<void>;
}

/** A container's log that lies in a spool, whatever else its driver does with the records. */
export class SpoolLog implements ContainerLog {
  readonly #deps: SpoolLogDeps;

  constructor(deps: SpoolLogDeps) {
    this.#deps = deps;
  }

  get path(): string {
    return this.#deps.path ?? this.#deps.spool.path;
  }

  get monitorTarget(): string {
    return `k8s-file:${this.#deps.spool.path}`;
  }

  get monitorLimit(): number {
    return this.#deps.monitorLimit;
  }

  get details(): string {
    return this.#deps.details;
  }

  async *read(options: LogReadOptions): AsyncIterable<LogRecord> {
    this.#checkReadable();
    const decoder = new RecordDecoder(options);
    for await (const lines of readLines(this.#deps.spool, options)) {
      for (const record of decoder.decode(lines)) {
        yield record;
        if (options.signal?.aborted) return;
      }
      if (decoder.ended) return;
    }
  }

  async *readEncoded(
    options: LogReadOptions & {
      readonly framed: boolean;
      readonly timestamps: boolean;
      readonly details: string;
    },
  ): AsyncIterable<Uint8Array> {
    this.#checkReadable();
    const encoder = new LogEncoder(options);
    for await (const lines of readLines(this.#deps.spool, options)) {
      const bytes = encoder.encode(lines, 0, lines.length);
      if (bytes.length > 0) yield bytes;
      if (encoder.ended) return;
    }
  }

  #checkReadable(): void {
    if (this.#deps.readable === false) throw unreadable();
  }

  async stopped(): Promise<void> {
    await this.#deps.spool.stopped();
  }

  async remove(): Promise<void> {
    await this.#deps.onRemove?.();
    await this.#deps.spool.remove();
  }
}
