import type { DiffId } from "../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import type { HistoryEntry, ImageConfig } from "../../base/spec/oci/image.ts";
import type { PlannedTarget } from "../plan.ts";
import type { ExportedLayer } from "./layers.ts";

export interface ConfigInput {
  readonly target: PlannedTarget;
  /** Layers of the image it began from, bottom first. */
  readonly base: readonly DiffId[];
  /** One for each of `target.layers`. */
  readonly layers: readonly (ExportedLayer | undefined)[];
  /** SOURCE_DATE_EPOCH in seconds: then no time of this build is in the image. */
  readonly epoch: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * The image's config: what the planner said, with the layers that came of it. A layer's time is when it was made, so a build that is
 * known to the last step gives the same image, to the digest, again.
 */
export function exportedConfig({ target, base, layers, epoch, now }: ConfigInput): ImageConfig {
  const { history = [], ...rest } = target.config;
  const time = (ms: number) => formatRfc3339Nano(BigInt(Math.trunc(ms)) * 1_000_000n);
  const fixed = epoch === undefined ? undefined : time(epoch * 1000);
  let at = 0;
  let last = layers.find((layer) => layer !== undefined)?.created ?? now;
  const dated = history.map((entry, index): HistoryEntry => {
    if (index < target.inheritedHistory) return entry;
    if (entry.empty_layer) return { ...entry, created: fixed ?? time(last) };
    const layer = layers[at++];
    if (layer) last = layer.created;
    const created = fixed ?? time(last);
    return layer ? { ...entry, created } : { ...entry, created, empty_layer: true };
  });
  const made = layers.filter((layer) => layer !== undefined);
  const diffIds = [...base, ...made.map((layer) => layer.diffId)];
  const newest = made.at(-1)?.created;
  // An image that adds no layer is as old as what it began from.
  const created = fixed ?? (newest === undefined ? (rest.created ?? time(now)) : time(newest));
  return { ...rest, created, rootfs: { type: "layers", diff_ids: diffIds }, history: dated };
}
