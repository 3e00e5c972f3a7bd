/** Bits of each byte's code, from 0 to 255 (RFC 7541, appendix B); the 30 ones of the end mark stand apart. */
const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

interface Level {
  /** The first code of this many bits, and where its byte stands in `bytes`. */
  readonly first: number;
  readonly from: number;
  readonly count: number;
}

interface Code {
  readonly levels: readonly Level[];
  readonly bytes: readonly number[];
}

/** The code is canonical: sorted by length and byte, each code is the one before plus one. */
function canonicalCode(): Code {
  const bytes = codeLengths
    .map((length, byte) => ({ length, byte }))
    .sort((a, b) => a.length - b.length || a.byte - b.byte)
    .map(({ byte }) => byte);
  const levels: Level[] = [{ first: 0, from: 0, count: 0 }];
  for (let length = 1, first = 0, from = 0; length <= 30; length++) {
    const count = codeLengths.filter((own) => own === length).length;
    levels.push({ first, from, count });
    first = (first + count) * 2;
    from += count;
  }
  return { levels, bytes };
}

/** Reads strings of HPACK's Huffman code. */
export class HuffmanDecoder {
  #code: Code | undefined;

  /** undefined: it is none (a code that is cut off, or the end mark within). */
  decode(source: Uint8Array): Buffer | undefined {
    this.#code ??= canonicalCode();
    const { levels, bytes } = this.#code;
    const out = Buffer.allocUnsafe(Math.ceil((source.length * 8) / 5));
    let written = 0;
    let code = 0;
    let length = 0;
    for (const byte of source) {
      for (let bit = 7; bit >= 0; bit--) {
        code = (code << 1) | ((byte >> bit) & 1);
        const level = levels[++length];
        if (!level) return undefined;
        const place = code - level.first;
        if (place >= level.count) continue;
        out[written++] = bytes[level.from + place] ?? 0;
        code = 0;
        length = 0;
      }
    }
    // What fills the last byte is the beginning of the end mark: ones (5.2).
    if (length > 7 || code !== (1 << length) - 1) return undefined;
    return out.subarray(0, written);
  }
}
