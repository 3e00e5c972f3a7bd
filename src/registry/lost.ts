import { isCode } from "../base/lib/errors.ts";
import type { Digest } from "../base/lib/ids.ts";
import type { Parts } from "./parts.ts";
import { forgetEverywhere, storedBlob } from "./records/blobs.ts";

/**
 * Runs what reads a blob that the records name. When storage lacks the bytes, or has others, a disk has lost them: the records are put right,
 * and the answer is undefined, as for a blob that was never there. The next push brings it back; a registry that went on saying "I have it"
 * would keep every client from doing so.
 */
export async function unlessLost<T>(
  parts: Parts,
  digest: Digest,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isCode(error, "not-found") && !isCode(error, "data-loss")) throw error;
    const lost = await parts.locks.run(digest, async () => {
      const recorded = storedBlob(parts.records, digest);
      // Collected meanwhile, or pushed again.
      if (!recorded || (isCode(error, "not-found") && !(await parts.storage.confirmMissing(digest))))
        return false;
      forgetEverywhere(parts.records, digest);
      await parts.storage.delete(digest);
      return true;
    });
    if (lost) {
      parts.metrics.count("blobs_lost");
      parts.log.error("a blob was lost or damaged in storage: it has to be pushed again", { digest, error });
    }
    return undefined;
  }
}
