import { isRecord } from "../decode/shape.ts";
import type { ApiVersion } from "../version.ts";

const groups = [
  ["ImageUsage", "Images"],
  ["ContainerUsage", "Containers"],
  ["VolumeUsage", "Volumes"],
  ["BuildCacheUsage", "BuildCache"],
] as const;

/**
 * GET /system/df. The lists stood at the top until 1.52, and still do for a client that does not say whether it wants them
 * (`legacy`). The sums per kind came with 1.52; an older client that asks for `verbose` gets them beside the lists, because what is
 * reclaimable of shared layers and blobs cannot be told from these.
 */
export function diskUsageReply(
  version: ApiVersion,
  { legacy, sums: wanted }: { readonly legacy: boolean; readonly sums: boolean },
  usage: unknown,
): unknown {
  if (!legacy || !isRecord(usage)) return usage;
  const reply: Record<string, unknown> = {};
  for (const [group, list] of groups) {
    const part = usage[group];
    if (!isRecord(part)) continue;
    const { Items, ...sums } = part;
    reply[group] = sums;
    reply[list] = Items ?? [];
    if (group === "ImageUsage") reply["LayersSize"] = part["TotalSize"] ?? 0;
    if (version < 52 && !wanted) delete reply[group];
  }
  if (version < 42) reply["BuilderSize"] = 0;
  return reply;
}
