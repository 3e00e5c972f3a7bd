/** Reads the time in front of spool lines; remembers the last second, which most following lines share. */
export class LineClock {
  readonly #second = Buffer.alloc(19);
  #zone = "";
  #base = 0n;

  /** Nanoseconds since the epoch of the line at `at`; 0 when its time is malformed. */
  time(input: Buffer, at: number): bigint {
    if (this.#zone === "" || !this.#sameSecond(input, at)) {
      input.copy(this.#second, 0, at, at + 19);
      this.#zone = input[at + 29] === 90 ? "Z" : input.toString("latin1", at + 29, at + 35);
      const ms = Date.parse(`${this.#second.toString("latin1")}${this.#zone}`);
      this.#base = Number.isFinite(ms) ? BigInt(ms) * 1_000_000n : 0n;
    }
    let nanos = 0;
    for (let i = at + 20; i < at + 29; i++) nanos = nanos * 10 + ((input[i] ?? 48) - 48);
    return this.#base + BigInt(nanos);
  }

  #sameSecond(input: Buffer, at: number): boolean {
    for (let i = 18; i >= 0; i--) if (this.#second[i] !== input[at + i]) return false;
    return this.#zone === "Z"
      ? input[at + 29] === 90
      : input[at + 30] === this.#zone.charCodeAt(1) && input[at + 31] === this.#zone.charCodeAt(2);
  }
}
