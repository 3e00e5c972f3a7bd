import { isTerminal } from "./builtin.ts";

/** The process's standard input. */
export interface Input {
  readonly isTerminal: boolean;
  /** What comes in. Whoever stops early leaves the rest to the next call. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Gives back what was read too much. */
  putBack(chunk: Uint8Array): void;
  /** Puts the terminal into raw mode and back. */
  setRaw(raw: boolean): void;
}

/** Standard input as it comes, read with Bun's stream: node's would cost its start-up time. */
export class StandardInput implements Input {
  readonly #rest: Uint8Array[] = [];
  #reader:
    | { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> }
    | undefined;
  #terminal: boolean | undefined;

  get isTerminal(): boolean {
    this.#terminal ??= isTerminal(0);
    return this.#terminal;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    // One reader for all calls: a stream that is given up takes with it what it has read ahead.
    this.#reader ??= Bun.stdin.stream().getReader();
    for (;;) {
      const rest = this.#rest.shift();
      if (rest) {
        yield rest;
        continue;
      }
      const { done, value } = await this.#reader.read();
      if (done) return;
      if (value) yield value;
    }
  }

  putBack(chunk: Uint8Array): void {
    if (chunk.length > 0) this.#rest.unshift(chunk);
  }

  setRaw(raw: boolean): void {
    if (this.isTerminal) process.stdin.setRawMode(raw);
  }
}
