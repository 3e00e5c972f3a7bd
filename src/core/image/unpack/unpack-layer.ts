import { createReadStream } from "node:fs";
import { CompressionError, decompress } from "../../../base/lib/compression/compression.ts";
import { TugError } from "../../../base/lib/errors.ts";
import type { DiffId } from "../../../base/lib/ids.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import { TarParser } from "../../../base/lib/tar/parser.ts";
import { Digester } from "../../../base/spec/oci/digest.ts";
import { LayerApplier } from "../../snapshot/apply/apply-layer.ts";
import type { UnpackRequest } from "./protocol.ts";

export interface UnpackedLayer {
  readonly diffId: DiffId;
  readonly size: number;
  readonly entries: number;
}

/**
 * Unpacks one layer in this process: inflates (on another thread), hashes and applies as the bytes come. The process must
 * have umask 0. Throws data-loss for a damaged blob or tar and for a wrong hash, resource-exhausted for a full disk.
 */
export async function unpackLayer(
  request: UnpackRequest,
  onProgress: (bytes: number) => void,
): Promise<UnpackedLayer> {
  const checked = request.verified ? request.diffId : undefined;
  const digester = checked === undefined ? new Digester() : undefined;
  let bytes = 0;
  using applier = new LayerApplier(request.target);
  const parser = new TarParser(applier);
  try {
    for await (const chunk of decompress(counted(request.blob, onProgress))) {
      digester?.update(chunk);
      bytes += chunk.length;
      parser.push(chunk);
    }
    // An empty stream is what some builders store for a layer without changes.
    if (bytes > 0) parser.finish();
    applier.finish();
  } catch (error) {
    throw layerError(error);
  }
  const diffId = checked ?? ((digester?.digest() ?? "") as string as DiffId);
  if (request.diffId !== undefined && diffId !== request.diffId) {
    throw new TugError(
      "data-loss",
      `layer verification failed: the layer's tar hashes to ${diffId}, the image config says ${request.diffId}`,
    );
  }
  return { diffId, size: applier.size, entries: applier.entries };
}

async function* counted(
  path: string,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const data = chunk as Uint8Array;
    bytes += data.length;
    onProgress(bytes);
    yield data;
  }
}

/** Every way that a layer can be bad, as one code; what the disk could not take, as another. */
export function layerError(error: unknown): TugError {
  if (error instanceof TugError) return error;
  if (error instanceof TarError || error instanceof CompressionError) {
    return new TugError("data-loss", error.message, { cause: error });
  }
  const code = errnoOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
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
  return new TugError(asked.includes(code ?? "") ? "data-loss" : "internal", message, { cause: error });
}
