import type { ChainId, DiffId } from "../../lib/ids.ts";
import { digestOf } from "./digest.ts";

/** ChainID of `layer` on top of `parent` (OCI image-spec, config.md, "Layer ChainID"). */
export function chainId(parent: ChainId | undefined, layer: DiffId): ChainId {
  return (parent === undefined ? layer : digestOf(`${parent} ${layer}`)) as string as ChainId;
}

/** The ChainIDs of a stack, bottom first: the last one names the whole stack. */
export function chainIds(layers: readonly DiffId[]): readonly ChainId[] {
  const chain: ChainId[] = [];
  for (const layer of layers) chain.push(chainId(chain.at(-1), layer));
  return chain;
}
