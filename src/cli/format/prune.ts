import type { ImageDeleteResponseItem } from "../../base/spec/docker/api.gen.ts";
import type { Filters } from "../../client/query.ts";
import type { Context } from "../context.ts";
import { humanSize } from "./units.ts";

/** What a prune reports. */
export function pruneReport(title: string, items: readonly string[], reclaimed: number): string {
  const list = items.length > 0 ? `${title}:\n${items.join("\n")}\n\n` : "";
  return `${list}Total reclaimed space: ${humanSize(reclaimed)}\n`;
}

export function prunedImageLines(items: readonly ImageDeleteResponseItem[]): string[] {
  return items.map((item) =>
    item.Untagged ? `untagged: ${item.Untagged}` : `deleted: ${item.Deleted ?? ""}`,
  );
}

/** Filters of an image prune. A `dangling` of the user's own stays beside what `--all` means: the daemon refuses a contradiction. */
export function imagePruneFilters(filters: Filters, all: boolean): Filters {
  return { ...filters, dangling: [...(filters["dangling"] ?? []), all ? "false" : "true"] };
}

/** The filters given and those of config.json's `pruneFilters`, which hold for every prune. */
export async function withPruneFilters(context: Context, filters: Filters): Promise<Filters> {
  const merged: Record<string, readonly string[]> = { ...filters };
  for (const pair of (await context.config()).data.pruneFilters ?? []) {
    const at = pair.indexOf("=");
    if (at <= 0) continue;
    const [key, value] = [pair.slice(0, at), pair.slice(at + 1)];
    // What the command line says about a label wins over the configured opposite.
    const opposite = key === "label" ? "label!" : key === "label!" ? "label" : "";
    if (filters[opposite]?.includes(value)) continue;
    merged[key] = [...(merged[key] ?? []), value];
  }
  return merged;
}
