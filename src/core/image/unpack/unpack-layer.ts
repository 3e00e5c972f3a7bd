import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import {
  type Compression,
  CompressionError,
  decompress,
  detectCompression,
  magicLength,
} from "../../../base/lib/compression/compression.ts";
import { TugError } from "../../../base/lib/errors.ts";
import type { DiffId } from "../../../base/lib/ids.ts";
import { errnoOf, isFull } from "../../../base/lib/storage-error.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import { TarParser } from "../../../base/lib/tar/parser.ts";
import { Digester } from "../../../base/spec/oci/digest.ts";
import { LayerApplier } from "../../snapshot/apply/apply-layer.ts";
import { type ArrivingRequest, arrivingFd, type WholeRequest } from "./protocol.ts";

export interface UnpackedLayer {
  readonly diffId: DiffId;
  readonly size: number;
  readonly entries: number;
  /** The tar told of the root directory itself. */
  readonly root: boolean;
}

/** So much is read at once. */
const readSize = 1 << 20;

/**
 * Unpacks one layer in this process: inflates (on another thread), hashes and applies as the bytes come. The process must
 * have umask 0. Throws data-loss for a damaged blob or tar and for a wrong hash, resource-exhausted for a full disk.
 */
export async function unpackLayer(
  request: WholeRequest,
  onProgress: (bytes: number) => void,
): Promise<UnpackedLayer> {
  const checked = request.verified ? request.diffId : undefined;
  using applier = new LayerApplier(request.target);
  using blob = openBlob(request.blob);
  const hashed = await apply(applier, blob.chunks(onProgress), () => checked === undefined);
  const diffId = checked ?? hashed ?? ("" as DiffId);
  if (request.diffId !== undefined && diffId !== request.diffId) throw wrongDiffId(diffId, request.diffId);
  return { diffId, size: applier.size, entries: applier.entries, root: applier.dressedRoot };
}

/**
 * The same for a layer that is still arriving: `news` waits for what is known of it. Has no diffID for a blob that is the tar itself.
 */
export async function unpackArriving(
  request: ArrivingRequest,
  news: { readonly written: (beyond: number) => number; readonly lowers: () => readonly string[] },
  onProgress: (bytes: number) => void,
): Promise<Omit<UnpackedLayer, "diffId"> & { readonly diffId: DiffId | undefined }> {
  const target = { kind: "overlay", upper: request.upper, lowers: [] } as const;
  using applier = new LayerApplier(target, news.lowers);
  const chunks = chunksOf(arrivingFd, request.size, news.written, onProgress);
  const diffId = await apply(applier, chunks, (compression) => compression !== "none");
  return { diffId, size: applier.size, entries: applier.entries, root: applier.dressedRoot };
}

/** Returns the tar's hash if it is to be hashed. */
async function apply(
  applier: LayerApplier,
  chunks: Iterator<Uint8Array, void>,
  hash: (compression: Compression) => boolean,
): Promise<DiffId | undefined> {
  const parser = new TarParser(applier);
  let bytes = 0;
  try {
    const first = chunks.next();
    const compression = first.done ? "none" : detectCompression(first.value);
    const digester = hash(compression) ? new Digester() : undefined;
    const take = (chunk: Uint8Array) => {
      digester?.update(chunk);
      bytes += chunk.length;
      parser.push(chunk);
    };
    if (compression === "none") {
      for (let next = first; !next.done; next = chunks.next()) take(next.value);
    } else {
      for await (const chunk of decompress(copies(first, chunks))) take(chunk);
    }
    // An empty stream is what some builders store for a layer without changes.
    if (bytes > 0) parser.finish();
    applier.finish();
    return digester && (digester.digest() as string as DiffId);
  } catch (error) {
    throw layerError(error);
  }
}

/** For a decoder on another thread, which may still look at a chunk when the next one is read. */
async function* copies(
  first: IteratorResult<Uint8Array, void>,
  rest: Iterator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let next = first; !next.done; next = rest.next()) yield next.value.slice();
}

function openBlob(path: string) {
  const fd = openSync(path, "r");
  const { size } = fstatSync(fd);
  return {
    chunks: (onProgress: (bytes: number) => void) => chunksOf(fd, size, () => size, onProgress),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/**
 * The bytes of a file, read in this thread as they are needed: they lie in the page cache, and the hand-over between threads would cost
 * more than reading them. A chunk is valid until the next one is asked for. `written` waits until there is more than what it is given.
 */
function* chunksOf(
  fd: number,
  size: number,
  written: (beyond: number) => number,
  onProgress: (bytes: number) => void,
): Generator<Uint8Array, void, undefined> {
  const buffer = Buffer.allocUnsafe(Math.min(readSize, Math.max(1, size)));
  // The first chunk tells the compression.
  for (let at = 0; at < size; ) {
    const there = Math.min(size, written(at === 0 ? Math.min(size, magicLength) - 1 : at));
    const count = readSync(fd, buffer, 0, Math.min(buffer.length, there - at), at);
    if (count === 0) throw new TarError("unexpected EOF");
    at += count;
    onProgress(at);
    yield buffer.subarray(0, count);
  }
}

export function wrongDiffId(found: string, expected: DiffId): TugError {
  return new TugError(
    "data-loss",
    `layer verification failed: the layer's tar hashes to ${found}, the image config says ${expected}`,
  );
}

/** Every way that a layer can be bad, as one code; what the disk could not take, as another. */
export function layerError(error: unknown): TugError {
  if (error instanceof TugError) return error;
  if (error instanceof TarError || error instanceof CompressionError) {
    return new TugError("data-loss", error.message, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  if (isFull(error)) {
    return new TugError(
      "resource-exhausted",
      message.includes("space") ? message : "no space left on device",
      {
        cause: error,
      },
    );
  }
  // A name too long, a loop of links, a file where a directory is needed: the layer asks for what cannot be.
  const asked = [
    ...["ENAMETOOLONG", "ELOOP", "ENOTDIR", "EISDIR", "EINVAL", "EFBIG", "E2BIG"],
    ...["ENOENT", "ERANGE", "EPERM", "EMLINK", "EOVERFLOW"],
  ];
  return new TugError(asked.includes(errnoOf(error) ?? "") ? "data-loss" : "internal", message, {
    cause: error,
  });
}
