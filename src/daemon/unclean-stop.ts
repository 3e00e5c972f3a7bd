import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { bootId } from "../base/sys/boot-id.ts";

/**
 * A note in the data root for as long as a daemon works on it, with the boot it works in. What is found at a start tells how the last one
 * ended: no note, by itself; one of this boot, it was killed, and the kernel still has what it wrote; one of another boot, the machine went
 * down under it, and what was not synced may be short.
 */
export class UncleanStop implements Disposable {
  /** The machine went down under the daemon before. */
  readonly machineWentDown: boolean;
  readonly #path: string;

  constructor(dataRoot: string) {
    this.#path = join(dataRoot, "in-use");
    // A note whose bytes were lost is none of this boot.
    this.machineWentDown = existsSync(this.#path) && readFileSync(this.#path, "latin1").trim() !== bootId();
    writeFileSync(this.#path, `${bootId()}\n`, { mode: 0o600, flush: true });
    const directory = openSync(dirname(this.#path), "r");
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { force: true });
  }
}
