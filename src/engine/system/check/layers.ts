import { fsyncSync } from "node:fs";
import { dirname } from "node:path";
import type { ChainId } from "../../../base/lib/ids.ts";
import { chainIds } from "../../../base/spec/oci/chain.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import { AT_FDCWD, closeFd, O, openat, RENAME_EXCHANGE, renameat } from "../../../base/sys/at.ts";
import { syncByProcess } from "../../../base/sys/sync.ts";
import type { Image, LayerSource } from "../../../core/image/image.ts";
import { restoreLayers } from "../../../core/image/recovery.ts";
import { walkLayer } from "../../../core/snapshot/walk-layer.ts";
import { nameOf } from "./blobs.ts";
import type { CheckDeps, CheckOptions, Finding } from "./finding.ts";

/** Every layer that an image names: it is unpacked, on the right parent, and (unless quick) none of its files is missing or short. */
export async function* checkLayers(deps: CheckDeps, options: CheckOptions): AsyncGenerator<Finding> {
  const seen = new Set<string>();
  for (const image of deps.images.all()) {
    const chain = chainIds(image.layers);
    let below = true;
    for (const [index, name] of chain.entries()) {
      options.signal?.throwIfAborted();
      if (seen.has(name)) continue;
      seen.add(name);
      const info = deps.snapshots.stat(name);
      const parent = chain[index - 1];
      if (info?.kind === "committed" && info.parent === parent) {
        // On a parent that is missing it cannot be looked at before that is repaired.
        if (!options.quick && below) yield* checkFiles(deps, image, index, name, parent);
        continue;
      }
      below = false;
      yield {
        Kind: "layer",
        Name: name,
        Problem: info
          ? "it lies on the wrong parent"
          : `it is not unpacked (layer ${index} of image ${nameOf(image)})`,
        Consequence: `no container can be made from image ${nameOf(image)}`,
        Remedy: "`tug system check --repair` unpacks it again from its blob",
        repair: async () => {
          await restoreLayers(deps, image);
          return "unpacked again";
        },
      };
    }
  }
}

async function* checkFiles(
  deps: CheckDeps,
  image: Image,
  index: number,
  name: ChainId,
  parent: ChainId | undefined,
): AsyncGenerator<Finding> {
  const layout = deps.snapshots.layout(name);
  const recorded = deps.layerSize(name);
  // A driver whose trees are whole has no files that are this layer's alone.
  if (layout.kind !== "overlay" || bytesOf(layout) >= recorded) return;
  const source = await sourceOf(deps, image, index);
  // A tar may bring a file twice: what it unpacks to is what counts.
  const whole =
    source && (await deps.unpacker.again(source, parent, async (fresh) => bytesOf({ upper: treeOf(fresh) })));
  const found = bytesOf(layout);
  if (whole === undefined ? found >= recorded : found >= whole) return;
  const wait = untilUnused(deps, name);
  yield {
    Kind: "layer",
    Name: name,
    Problem: `files of it are missing or short: ${found} bytes instead of ${whole ?? recorded} (layer ${index} of image ${nameOf(image)})`,
    Consequence: `containers made from image ${nameOf(image)} see these files so`,
    Remedy: wait
      ? `${wait}, then \`tug system check --repair\` unpacks it again`
      : "`tug system check --repair` unpacks it again from its blob",
    repair: async () => {
      const busy = untilUnused(deps, name);
      if (busy) throw new Error(`it is in use: ${busy} first`);
      const layer = source ?? (await sourceOf(deps, image, index));
      if (!layer) throw new Error("its blob is missing, too");
      await deps.unpacker.again(layer, parent, async (fresh, kept) => {
        await syncByProcess(treeOf(fresh));
        exchange(treeOf(fresh), treeOf(kept));
      });
      await deps.snapshots.completed(name);
      return "unpacked again";
    },
  };
}

/** The layer's blob and diffID, where the blob is here. */
async function sourceOf(deps: CheckDeps, image: Image, index: number): Promise<LayerSource | undefined> {
  if (!image.manifest || !deps.content.stat(image.manifest.digest)) return undefined;
  const manifest = parseManifest(await deps.content.read(image.manifest.digest, manifestLimit));
  const descriptor = manifest.layers[index];
  const diffId = image.layers[index];
  if (!descriptor || diffId === undefined || !deps.content.stat(descriptor.digest)) return undefined;
  return { descriptor, diffId };
}

/**
 * What must be done before the layer can be exchanged, "" if nothing: a running container or build that has it mounted must not have it
 * taken from under it.
 */
function untilUnused(deps: CheckDeps, layer: ChainId): string {
  const running = deps.containers
    .list()
    .filter((container) => container.running && liesOn(deps, container.id, layer));
  return [
    ...(running.length > 0 ? [`stop ${running.map(({ name }) => name).join(", ")}`] : []),
    ...(deps.inBuilds().some((snapshot) => liesOn(deps, snapshot, layer))
      ? ["let the running builds end"]
      : []),
  ].join(" and ");
}

function liesOn(deps: CheckDeps, snapshot: string, layer: ChainId): boolean {
  for (
    let at = deps.snapshots.stat(snapshot);
    at;
    at = at.parent === undefined ? undefined : deps.snapshots.stat(at.parent)
  )
    if (at.name === layer) return true;
  return false;
}

type Target = Parameters<Parameters<CheckDeps["unpacker"]["again"]>[2]>[0];
const treeOf = (target: Target) => (target.kind === "overlay" ? target.upper : target.tree);

/** Regular files' lengths, hard links once, and where links lead: what a layer's recorded size counts. */
function bytesOf({ upper, base }: { readonly upper: string; readonly base?: string }): number {
  const fd = openat(AT_FDCWD, upper, O.PATH | O.DIRECTORY);
  const seen = new Set<bigint>();
  let bytes = 0;
  try {
    for (const { stat } of walkLayer(fd, base)) {
      if (stat.kind !== "file" && stat.kind !== "symlink") continue;
      if (stat.nlink > 1 && seen.has(stat.ino)) continue;
      if (stat.nlink > 1) seen.add(stat.ino);
      bytes += stat.size;
    }
  } finally {
    closeFd(fd);
  }
  return bytes;
}

/** Two trees change places at once (renameat2(2), RENAME_EXCHANGE). */
function exchange(one: string, other: string): void {
  renameat(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
  for (const path of [one, other]) {
    const fd = openat(AT_FDCWD, dirname(path), O.RDONLY | O.DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeFd(fd);
    }
  }
}
