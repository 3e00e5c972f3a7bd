import { invalid } from "./errors.ts";

/** What leaves an attached terminal without stopping anything: ctrl-p, ctrl-q. */
export const defaultDetachKeys: readonly number[] = [16, 17];

/**
 * A key sequence as users write it, "ctrl-p,ctrl-q": single characters, `ctrl-` and a letter or one of @ [ \ ] ^ _, or DEL,
 * separated by commas. Throws Docker's error for anything else. An empty text means the default.
 */
export function parseDetachKeys(text: string | undefined): readonly number[] {
  if (text === undefined || text === "") return defaultDetachKeys;
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    // Control characters are the letters' codes without their upper bits (ASCII).
    if (control !== undefined) return control.charCodeAt(0) & 0x1f;
    if (key === "DEL") return 127;
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    throw invalid(`Invalid detach keys (${text}) provided: Unknown character: '${key}'`);
  });
}

/**
 * Looks for the sequence in what a user types. Bytes that may be its beginning are held back until the next ones decide.
 *
 *     const filter = new DetachFilter(parseDetachKeys(options.detachKeys));
 *     const { forward, detached } = filter.feed(bytes);
 */
export class DetachFilter {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What may go on to the process, and whether the sequence is complete; bytes behind it are dropped. */
  feed(bytes: Uint8Array): { readonly forward: Uint8Array; readonly detached: boolean } {
    const first = this.#keys[0];
    if (first === undefined || (this.#matched === 0 && !bytes.includes(first))) {
      return { forward: bytes, detached: false };
    }
    const out: number[] = [];
    for (const byte of bytes) {
      while (byte !== this.#keys[this.#matched] && this.#matched > 0) this.#giveBack(out);
      if (byte !== this.#keys[this.#matched]) out.push(byte);
      else if (++this.#matched === this.#keys.length) {
        return { forward: Uint8Array.from(out), detached: true };
      }
    }
    return { forward: Uint8Array.from(out), detached: false };
  }

  /** Lets go of as much of the held bytes as can no longer start the sequence. */
  #giveBack(out: number[]): void {
    const held = this.#keys.slice(0, this.#matched);
    for (let drop = 1; drop <= held.length; drop++) {
      out.push(held[drop - 1] ?? 0);
      if (held.slice(drop).every((key, i) => key === this.#keys[i])) {
        this.#matched = held.length - drop;
        return;
      }
    }
  }
}
