import { TugError } from "../../base/lib/errors.ts";

/** Ends a build at the first SIGINT or SIGTERM; at the second the program ends as it is. */
export class Interrupt implements Disposable {
  readonly #abort = new AbortController();
  readonly #undo: (() => void)[] = [];

  constructor() {
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      const handler = () => {
        if (this.#abort.signal.aborted) process.exit(130);
        this.#abort.abort(new TugError("cancelled", "context canceled", { detail: { exitCode: 130 } }));
      };
      process.on(name, handler);
      this.#undo.push(() => process.off(name, handler));
    }
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  [Symbol.dispose](): void {
    for (const off of this.#undo) off();
  }
}
