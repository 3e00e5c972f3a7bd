import type { InlineCache, SolvedTarget } from "../../export/exporter.ts";
import { isSource } from "../../solve/keys.ts";
import type { SolvedStep } from "../../solve.ts";
import { type CacheStep, inlineMember, inlineText } from "./document.ts";

/**
 * `--cache-to type=inline`: which layers of the image are which steps' results, in its config. Steps of other stages are told by their keys
 * alone: what the target's own steps are found by.
 */
export function inlineCache(solved: () => readonly SolvedStep[], squash: boolean): InlineCache {
  return async (target, layers) => {
    const tops = squash ? squashedTops(target, layers.length) : await topsOf(target);
    const steps = solved().flatMap(({ vertex, key, keys }): readonly CacheStep[] =>
      isSource(vertex.op) || keys.length === 0 ? [] : [{ key, keys, layer: tops.get(vertex.digest) }],
    );
    return { [inlineMember]: inlineText(steps) };
  };
}

/** For each step of the target, the place of its top layer in the image. */
async function topsOf({ target, layers }: SolvedTarget): Promise<ReadonlyMap<string, number>> {
  let top = (target.base?.layers.length ?? 0) - 1;
  const made = await layers();
  const tops = new Map<string, number>();
  for (const [index, vertex] of target.layers.entries()) {
    if (made[index]) top++;
    tops.set(vertex.digest, top);
  }
  return tops;
}

/** Only the last step's result is there. */
function squashedTops({ target }: SolvedTarget, layers: number): ReadonlyMap<string, number> {
  const last = target.layers.at(-1);
  return new Map(last ? [[last.digest, layers - 1]] : []);
}
