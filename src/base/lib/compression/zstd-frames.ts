/**
 * Passes a zstd stream through and throws RangeError when it ends inside a frame: the decoder of this runtime takes a short
 * stream for a whole one. Only the lengths are followed (RFC 8878, 3.1.1).
 */
export async function* wholeFrames(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const frames = new FrameFollower();
  for await (const chunk of source) {
    frames.push(chunk);
    yield chunk;
  }
  if (!frames.between) throw new RangeError("unexpected end of file");
}

type Step = "magic" | "skippable" | "descriptor" | "block";

class FrameFollower {
  #step: Step = "magic";
  readonly #held = new Uint8Array(4);
  #count = 0;
  /** Bytes to pass over without looking. */
  #skip = 0;
  #checksum = false;

  /** True where a stream may end. */
  get between(): boolean {
    return this.#step === "magic" && this.#count === 0 && this.#skip === 0;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
        continue;
      }
      this.#held[this.#count++] = chunk[at++] ?? 0;
      if (this.#count === lengths[this.#step]) {
        this.#count = 0;
        this.#take();
      }
    }
  }

  #take(): void {
    const [a = 0, b = 0, c = 0, d = 0] = this.#held;
    switch (this.#step) {
      case "magic":
        if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) this.#step = "descriptor";
        else if ((a & 0xf0) === 0x50 && b === 0x2a && c === 0x4d && d === 0x18) this.#step = "skippable";
        else throw new RangeError("not a zstd frame");
        break;
      case "skippable":
        this.#skip = a + b * 256 + c * 65536 + d * 16777216;
        this.#step = "magic";
        break;
      case "descriptor": {
        const single = (a & 0x20) !== 0;
        const size = [single ? 1 : 0, 2, 4, 8][a >> 6] ?? 0;
        this.#checksum = (a & 4) !== 0;
        this.#skip = (single ? 0 : 1) + ([0, 1, 2, 4][a & 3] ?? 0) + size;
        this.#step = "block";
        break;
      }
      case "block": {
        const header = a + b * 256 + c * 65536;
        const kind = (header >> 1) & 3;
        if (kind === 3) throw new RangeError("bad zstd block");
        const last = (header & 1) !== 0;
        this.#skip = (kind === 1 ? 1 : header >> 3) + (last && this.#checksum ? 4 : 0);
        this.#step = last ? "magic" : "block";
        break;
      }
    }
  }
}

const lengths: Readonly<Record<Step, number>> = { magic: 4, skippable: 4, descriptor: 1, block: 3 };
