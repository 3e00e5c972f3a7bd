import type { TarEntry } from "../../base/lib/tar/entry.ts";
import { TarParser } from "../../base/lib/tar/parser.ts";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";

/**
 * A tar with its members changed: `change` says what becomes of each. The content stays; holes of sparse files are written as zeros. Ends
 * with the two blocks of zeros unless `open`: more members follow.
 */
export async function* rewriteTar(
  source: AsyncIterable<Uint8Array>,
  change: (entry: TarEntry) => NewTarEntry,
  options: { readonly open?: boolean } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let out: Uint8Array[] = [];
  let size = 0;
  let written = 0;
  const zeros = (until: number) => {
    for (; written < until; written += Math.min(until - written, zeroPiece))
      out.push(new Uint8Array(Math.min(until - written, zeroPiece)));
  };
  const parser = new TarParser({
    entry: (entry) => {
      out.push(tarHeader(change(entry)));
      size = entry.kind === "file" ? entry.size : 0;
      written = 0;
    },
    data: (chunk, offset) => {
      zeros(offset);
      // The chunk is the parser's own. Not Uint8Array.from(), which takes a Buffer byte by byte.
      out.push(new Uint8Array(chunk));
      written += chunk.length;
    },
    end: () => {
      zeros(size);
      if (size > 0) out.push(tarPadding(size));
    },
  });
  for await (const chunk of source) {
    parser.push(chunk);
    if (out.length === 0) continue;
    const ready = Buffer.concat(out);
    out = [];
    if (ready.length > 0) yield ready;
  }
  parser.finish();
  if (!options.open) out.push(tarTrailer);
  if (out.length > 0) yield Buffer.concat(out);
}

const zeroPiece = 1 << 20;

/** No time is later than `epoch` (seconds). */
export function clamped(entry: TarEntry, epoch: number): NewTarEntry {
  const latest = BigInt(epoch) * 1_000_000_000n;
  return { ...entry, mtime: entry.mtime > latest ? latest : entry.mtime, atime: undefined };
}
