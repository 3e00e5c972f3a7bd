import { createGunzip, createZstdDecompress } from "node:zlib";
import { throughStream } from "./through-stream.ts";
import { wholeFrames } from "./zstd-frames.ts";

/** Large enough that the hand-over between threads does not show. */
const chunkSize = 1 << 20;

/** Plain bytes of a gzip stream. */
export function gunzip(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return throughStream(source, createGunzip({ chunkSize }));
}

/** Plain bytes of a zstd stream. */
export function unzstd(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return throughStream(wholeFrames(source), createZstdDecompress({ chunkSize }));
}
