import { join } from "node:path";
import type { DiffId } from "../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import type { HistoryEntry, ImageConfig } from "../../base/spec/oci/image.ts";
import type { PlannedTarget } from "../plan.ts";
import type { ExportDeps } from "./deps.ts";
import type { SolvedTarget } from "./exporter.ts";
import { baseChain } from "./image.ts";

export interface SquashedLayer {
  readonly diffId: DiffId;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

/**
 * `--squash`: one layer on top of the base's, with what the stage's layers come to together: what one added and a later one removed is in
 * none. The trees before and after are compared, and the layer is unpacked in the same pass.
 */
export async function squashLayers(
  deps: ExportDeps,
  solved: SolvedTarget,
  signal: AbortSignal,
): Promise<SquashedLayer> {
  const made = (await solved.layers()).filter((layer) => layer !== undefined);
  const top = made.at(-1);
  const base = baseChain(solved.target);
  await using trees = await deps.trees.open([
    { name: "before", snapshot: base },
    { name: "after", snapshot: top?.chainId },
  ]);
  const tree = join(trees.path, "after");
  const parent = base === undefined ? undefined : join(trees.path, "before");
  const layer = await deps.unpacker.make(
    base,
    async (target) =>
      await deps.files.layer(
        { kind: "tree", tree, parent },
        new Set(),
        target,
        async () => undefined,
        signal,
      ),
  );
  return { diffId: layer.diffId, created: top?.created ?? deps.clock.now() };
}

/** History as Docker's squash leaves it: every step stays, without a layer, and one entry has the layer of them all. */
export function squashedConfig(
  config: ImageConfig,
  options: {
    readonly target: PlannedTarget;
    readonly squashed: SquashedLayer;
    readonly epoch: number | undefined;
  },
): ImageConfig {
  const { target, squashed, epoch } = options;
  const created = formatRfc3339Nano(
    BigInt(Math.trunc(epoch === undefined ? squashed.created : epoch * 1000)) * 1_000_000n,
  );
  const history = (config.history ?? []).map(
    (entry, index): HistoryEntry =>
      index < target.inheritedHistory ? entry : { ...entry, empty_layer: true },
  );
  const base = target.base?.layers ?? [];
  const comment = `merge ${config.rootfs.diff_ids.length - base.length} layers onto ${target.base?.image ?? "scratch"}`;
  return {
    ...config,
    created,
    rootfs: { type: "layers", diff_ids: [...base, squashed.diffId] },
    history: [...history, { created, comment }],
  };
}
