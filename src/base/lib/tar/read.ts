import type { TarEntry } from "./entry.ts";
import { TarParser } from "./parser.ts";

/** A member whose data is read by iterating; what was not read is skipped when the next member is asked for. */
export interface TarMember {
  readonly entry: TarEntry;
  /** Data with its place in the file; holes of a sparse file are left out. */
  readonly pieces: AsyncIterable<TarPiece>;
  /** The whole file, holes as zeros; throws RangeError when it is longer than `limit`. */
  bytes(limit: number): Promise<Buffer>;
}

export interface TarPiece {
  readonly offset: number;
  readonly chunk: Uint8Array;
}

type Token = { readonly entry: TarEntry } | TarPiece | "end";

/**
 * Reads an archive member by member, for consumers that must await between them (cp, build contexts, image archives).
 * Chunks are pulled from the source only as members are read, so backpressure holds. Ends after the end-of-archive blocks
 * when `drain` is false; otherwise reads the source to its end, as a hash or a connection needs. `unpadded` is the parser's.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: { readonly drain?: boolean; readonly unpadded?: boolean } = {},
): AsyncGenerator<TarMember, void, undefined> {
  let tokens: Token[] = [];
  let at = 0;
  const parser = new TarParser(
    {
      entry: (entry) => void tokens.push({ entry }),
      data: (chunk, offset) => void tokens.push({ chunk, offset }),
      end: () => void tokens.push("end"),
    },
    options,
  );
  const chunks = source[Symbol.asyncIterator]();
  let ended = false;
  const next = async (): Promise<Token | undefined> => {
    for (;;) {
      const token = tokens[at++];
      if (token !== undefined) return token;
      tokens = [];
      at = 0;
      if (ended || (parser.done && options.drain === false)) return undefined;
      const result = await chunks.next();
      if (result.done) {
        ended = true;
        parser.finish();
      } else {
        parser.push(result.value);
      }
    }
  };
  try {
    for (let token = await next(); token !== undefined; token = await next()) {
      if (token === "end" || !("entry" in token)) continue;
      let open = true;
      const pieces = async function* (): AsyncGenerator<TarPiece, void, undefined> {
        while (open) {
          const piece = await next();
          if (piece === undefined || piece === "end" || "entry" in piece) {
            open = false;
            return;
          }
          yield piece;
        }
      };
      const { entry } = token;
      yield {
        entry,
        pieces: { [Symbol.asyncIterator]: pieces },
        bytes: async (limit) => {
          if (entry.size > limit) throw new RangeError(`${entry.path} is longer than ${limit} bytes`);
          const whole = Buffer.alloc(entry.size);
          for await (const { offset, chunk } of pieces()) whole.set(chunk, offset);
          return whole;
        },
      };
      while (open) {
        const rest = await next();
        if (rest === undefined || rest === "end") open = false;
      }
    }
  } finally {
    if (!ended) await chunks.return?.();
  }
}
