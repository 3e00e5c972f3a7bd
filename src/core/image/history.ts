import type { ChainId } from "../../base/lib/ids.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { HistoryEntry, ImageConfig } from "../../base/spec/oci/image.ts";

/** One line of `history`: an entry of the config and the layer that it made, if it made one. */
export interface HistoryLine {
  readonly entry: HistoryEntry;
  readonly chainId: ChainId | undefined;
}

/**
 * Pairs a config's history with its layers, newest first. A history that is missing or too short for the layers gets
 * entries without text, as its layers exist all the same.
 */
export function imageHistory(config: ImageConfig): readonly HistoryLine[] {
  const chain = chainIds(config.rootfs.diff_ids);
  const lines: HistoryLine[] = [];
  let layer = 0;
  for (const entry of config.history ?? []) {
    const own = entry.empty_layer ? undefined : chain[layer++];
    lines.push({ entry, chainId: own });
  }
  for (; layer < chain.length; layer++) lines.push({ entry: {}, chainId: chain[layer] });
  return lines.reverse();
}
