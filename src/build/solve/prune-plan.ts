import type { EntryFilter } from "./filter.ts";
import type { CacheEntry } from "./objects.ts";

/** What to remove, by BuildKit's rules (client.PruneInfo): each bound is bytes, 0 or absent: none. */
export interface PruneRule {
  /** What images have, too, and what builds need internally goes as well. */
  readonly all: boolean;
  readonly filter: EntryFilter;
  /** Only what was last used before: milliseconds since the epoch. */
  readonly usedBefore?: number | undefined;
  /** So much is kept in any case. */
  readonly reservedSpace?: number | undefined;
  /** No more than this is kept. */
  readonly maxUsedSpace?: number | undefined;
  /** So much of the disk is to be free, if what is kept can give it. */
  readonly minFreeSpace?: number | undefined;
}

/**
 * The ids to remove, in order: what was unused for longest goes first, and nothing before what stands on it. With bounds it is no
 * more than they ask for; what images share counts for nothing there, as removing it here frees nothing.
 */
export function planPrune(
  entries: readonly CacheEntry[],
  rule: PruneRule,
  disk: { readonly free: number },
): readonly string[] {
  const total = entries.reduce((sum, { shared, size }) => sum + (shared ? 0 : size), 0);
  let excess = total - keptBytes(total, rule, disk.free);
  const bounded = Boolean(rule.reservedSpace || rule.maxUsedSpace || rule.minFreeSpace);
  const above = new Map<string, number>();
  for (const parent of entries.flatMap(({ parents }) => parents))
    above.set(parent, (above.get(parent) ?? 0) + 1);
  const order: string[] = [];
  let left = entries
    .filter((entry) => removable(entry, rule))
    .sort((a, b) => lastUse(a) - lastUse(b) || a.uses - b.uses || b.created - a.created);
  for (let before = -1; before !== order.length; ) {
    before = order.length;
    const waiting: CacheEntry[] = [];
    for (const entry of left) {
      if (bounded && excess <= 0) return order;
      if ((above.get(entry.id) ?? 0) > 0) {
        waiting.push(entry);
        continue;
      }
      order.push(entry.id);
      if (!entry.shared) excess -= entry.size;
      for (const parent of entry.parents) above.set(parent, (above.get(parent) ?? 1) - 1);
    }
    left = waiting;
  }
  return order;
}

function removable(entry: CacheEntry, rule: PruneRule): boolean {
  if (entry.inUse || !rule.filter(entry)) return false;
  if (!rule.all && (entry.shared || entry.type === "internal" || entry.type === "frontend")) return false;
  return rule.usedBefore === undefined || lastUse(entry) < rule.usedBefore;
}

function lastUse({ used, created }: CacheEntry): number {
  return used ?? created;
}

/** How much may stay; 0 where nothing is said of it. */
function keptBytes(total: number, rule: PruneRule, free: number): number {
  const { reservedSpace = 0, maxUsedSpace = 0, minFreeSpace = 0 } = rule;
  let kept = maxUsedSpace;
  const wanted = minFreeSpace - free;
  // Nothing is lacking on the disk, and that was all that was asked for.
  if (minFreeSpace > 0 && wanted <= 0 && maxUsedSpace === 0) return Math.max(total, reservedSpace);
  if (minFreeSpace > 0 && wanted > 0)
    kept = maxUsedSpace === 0 ? total - wanted : Math.min(maxUsedSpace, total - wanted);
  return Math.max(kept, reservedSpace);
}
