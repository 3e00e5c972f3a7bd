import { invalid } from "../../base/lib/errors.ts";

const named: Readonly<Record<string, number>> = { "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, _: 31 };

/** "ctrl-p,ctrl-q" or single characters, as bytes; Docker's default when nothing is given. */
export function parseDetachKeys(text: string | undefined): readonly number[] {
  if (!text) return [16, 17];
  return text.split(",").map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-(.)$/i.exec(key)?.[1]?.toLowerCase();
    if (control !== undefined) {
      const code = /[a-z]/.test(control) ? control.charCodeAt(0) - 96 : named[control];
      if (code !== undefined) return code;
    }
    throw invalid(`Invalid detach keys (${text}) provided`);
  });
}

/** Watches a byte stream for the detach sequence; bytes of an unfinished sequence are held back until it is decided. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What may be passed on, and whether the sequence was completed. */
  push(bytes: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
    if (this.#matched === 0 && bytes.indexOf(this.#keys[0] ?? -1) < 0)
      return { pass: bytes, detached: false };
    const out: number[] = [];
    for (const byte of bytes) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Uint8Array.from(out), detached: true };
        continue;
      }
      out.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
      else if (this.#keys.length === 1) return { pass: Uint8Array.from(out), detached: true };
    }
    return { pass: Uint8Array.from(out), detached: false };
  }
}
