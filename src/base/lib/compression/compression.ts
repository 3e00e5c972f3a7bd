export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** Bytes that tell every format. */
export const magicLength = 6;

/** Tells a format by its first bytes; a zstd stream may begin with a skippable frame (RFC 8878, 3.1.2). */
export function detectCompression(start: Uint8Array): Compression {
  const found = magics.find(([, magic]) => magic.every((byte, index) => start[index] === byte));
  if (found) return found[0];
  const skippable =
    ((start[0] ?? 0) & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18;
  return skippable ? "zstd" : "none";
}

/** A compressed stream that is damaged or ends early. */
export class CompressionError extends Error {
  override readonly name = "CompressionError";
}

/**
 * Yields the plain bytes of a stream, whatever it is compressed with; everything happens in this process, so nothing of an
 * image's or a context's choosing is ever executed. Errors of the source pass unchanged; damage is a `CompressionError`.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, Compression> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const head: Uint8Array[] = [];
    let length = 0;
    while (length < magicLength) {
      const next = await iterator.next();
      if (next.done) break;
      head.push(next.value);
      length += next.value.length;
    }
    const start = head.length === 1 && head[0] ? head[0] : Buffer.concat(head);
    const format = detectCompression(start);
    const rest: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: async function* () {
        if (start.length > 0) yield start;
        for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
      },
    };
    if (format === "none") yield* rest;
    else yield* guarded(format, (await decoders[format]())(rest));
    return format;
  } finally {
    await iterator.return?.();
  }
}

type Decoder = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** Loaded when a stream needs them: most helper processes live for milliseconds and see plain tars only. */
const decoders: Readonly<Record<Exclude<Compression, "none">, () => Promise<Decoder>>> = {
  gzip: async () => (await import("./zlib-decoders.ts")).gunzip,
  zstd: async () => (await import("./zlib-decoders.ts")).unzstd,
  bzip2: async () => (await import("./bzip2.ts")).bunzip2,
  xz: async () => (await import("./xz.ts")).unxz,
};

/** Gives the errors of zlib (code "Z_DATA_ERROR", "ZSTD_error_...") one class and Go's text for a short stream. */
async function* guarded(
  format: string,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* source;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = "code" in error && typeof error.code === "string" ? error.code : "";
    if (code === "Z_BUF_ERROR" || /unexpected end/i.test(error.message)) {
      throw new CompressionError("unexpected EOF", { cause: error });
    }
    if (/^(Z_|ZSTD_|ERR_)/.test(code) || error instanceof RangeError) {
      throw new CompressionError(`${format}: invalid data: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
