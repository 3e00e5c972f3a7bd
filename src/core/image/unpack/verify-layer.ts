import { CompressionError, decompress } from "../../../base/lib/compression/compression.ts";
import { TugError } from "../../../base/lib/errors.ts";
import { Digester } from "../../../base/spec/oci/digest.ts";
import type { ContentStore } from "../../content/content.ts";
import type { LayerSource } from "../image.ts";
import { wrongDiffId } from "./unpack-layer.ts";

/**
 * Checks a layer's blob against its diffID without unpacking it: for a layer that is unpacked already, from another blob. Otherwise a
 * damaged copy would be recorded as that layer, and be handed on by save and push.
 */
export async function verifyLayer(
  content: ContentStore,
  layer: LayerSource,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { digest } = layer.descriptor;
  // The store has checked an uncompressed blob against its digest, which is its diffID.
  if ((digest as string) === layer.diffId) return;
  const digester = new Digester();
  try {
    for await (const chunk of decompress(content.stream(digest))) {
      signal?.throwIfAborted();
      digester.update(chunk);
    }
  } catch (error) {
    if (!(error instanceof CompressionError)) throw error;
    throw new TugError("data-loss", `layer verification failed: ${error.message}`, { cause: error });
  }
  const found = digester.digest();
  if ((found as string) === layer.diffId) return;
  throw wrongDiffId(found, layer.diffId);
}
