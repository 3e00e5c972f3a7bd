import { nodeTty } from "./builtin.ts";

/** The process's standard input. */
export interface Input {
  readonly isTerminal: boolean;
  chunks(): AsyncIterable<Uint8Array>;
  /** Puts the terminal into raw mode and back. */
  setRaw(raw: boolean): void;
}

/** Standard input as it comes, read with Bun's stream: node's would cost its start-up time. */
export class StandardInput implements Input {
  #terminal: boolean | undefined;

  get isTerminal(): boolean {
    this.#terminal ??= nodeTty().isatty(0);
    return this.#terminal;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of Bun.stdin.stream()) yield chunk as Uint8Array;
  }

  setRaw(raw: boolean): void {
    if (this.isTerminal) process.stdin.setRawMode(raw);
  }
}
