import type { ChainId, DiffId } from "../../base/lib/ids.ts";
import { chainId, chainIds } from "../../base/spec/oci/chain.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import type { Lease } from "../../core/content/content.ts";
import { exportedConfig } from "./config.ts";
import type { ExportDeps } from "./deps.ts";
import type { SolvedTarget } from "./exporter.ts";
import type { LayerForms } from "./layer-blobs.ts";
import { type SquashedLayer, squashedConfig, squashLayers } from "./squash.ts";

/** An image as it goes out: config and layers are final. */
export interface FinishedImage {
  readonly solved: SolvedTarget;
  readonly config: ImageConfig;
  /** Bottom first, the base's too. */
  readonly layers: readonly FinishedLayer[];
}

export interface FinishedLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  /** This build made it; it is not the base's. */
  readonly own: boolean;
}

export interface FinishOptions {
  readonly squash: boolean;
  /** SOURCE_DATE_EPOCH, seconds. */
  readonly epoch: number | undefined;
  /** Files are no younger than this, seconds. */
  readonly rewrite: number | undefined;
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

/** Makes a target's image of its layers: in one layer, or with other times, where that was asked for. Everything is unpacked here. */
export async function finishImage(
  deps: ExportDeps,
  forms: LayerForms,
  solved: SolvedTarget,
  options: FinishOptions,
): Promise<FinishedImage> {
  const { target } = solved;
  const { epoch, rewrite, signal } = options;
  const layers = await solved.layers();
  const base = target.base?.layers ?? [];
  let config = exportedConfig({ target, base, layers, epoch, now: deps.clock.now() });
  if (options.squash && layers.some((layer) => layer !== undefined)) {
    const squashed: SquashedLayer = await squashLayers(deps, solved, signal);
    config = squashedConfig(config, { target, squashed, epoch });
  }
  let diffIds: readonly DiffId[] = config.rootfs.diff_ids;
  if (rewrite !== undefined) {
    diffIds = await withTimes(deps, forms, { diffIds, own: base.length, epoch: rewrite }, options);
    config = { ...config, rootfs: { type: "layers", diff_ids: diffIds } };
  }
  const chain = chainIds(diffIds);
  const own = layers.flatMap((layer) => (layer ? [layer.chainId] : []));
  deps.letGo(own.filter((name) => !chain.includes(name)));
  return {
    solved,
    config,
    layers: diffIds.flatMap((diffId, index) => {
      const name = chain[index];
      return name === undefined ? [] : [{ diffId, chainId: name, own: index >= base.length }];
    }),
  };
}

/** Own layers again with times that are no later; the new ones are unpacked, and kept until an image names them. */
async function withTimes(
  deps: ExportDeps,
  forms: LayerForms,
  layers: { readonly diffIds: readonly DiffId[]; readonly own: number; readonly epoch: number },
  { lease, signal }: FinishOptions,
): Promise<readonly DiffId[]> {
  const { diffIds, own, epoch } = layers;
  const before = chainIds(diffIds);
  const made: DiffId[] = diffIds.slice(0, own);
  let top = before[own - 1];
  for (const [index, diffId] of diffIds.entries()) {
    const name = before[index];
    if (index < own || name === undefined) continue;
    const blob = await deps.layerBlob(name, diffId, signal);
    lease.add(blob.digest);
    const changed = await forms.clamped(blob, epoch, lease, signal);
    const same = changed.diffId === diffId;
    if (!same || chainId(top, diffId) !== name)
      await deps.unpacker.unpack(
        { descriptor: same ? blob : changed.descriptor, diffId: changed.diffId },
        top,
        { signal },
      );
    top = chainId(top, changed.diffId);
    made.push(changed.diffId);
  }
  return made;
}
