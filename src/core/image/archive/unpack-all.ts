import type { ChainId } from "../../../base/lib/ids.ts";
import { chainId } from "../../../base/spec/oci/chain.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import type { LayerSource, LoadEvent, Unpacker } from "../image.ts";
import type { StackOptions, StackUnpacker } from "../unpack/layer-stack.ts";
import type { ArchiveFiles } from "./archive-files.ts";
import { ProgressRelay } from "./progress-relay.ts";

interface Deps {
  readonly unpacker: Unpacker & StackUnpacker;
  readonly snapshots: Snapshotter;
}

/** Unpacks the layers of an image, bottom first. Tells in `unpacked` which were not there before. */
export async function* unpackAll(
  deps: Deps,
  files: ArchiveFiles,
  layers: readonly LayerSource[],
  unpacked: ChainId[],
  signal: AbortSignal | undefined,
): AsyncGenerator<LoadEvent, void, undefined> {
  await using stack = deps.unpacker.stack();
  const onto = async (layer: LayerSource, parent: ChainId | undefined, options: StackOptions) => {
    if (stack) return await stack.put(layer, files.takeEarly(layer.descriptor.digest), options);
    const state = deps.snapshots.stat(chainId(parent, layer.diffId)) ? "there" : "new";
    await deps.unpacker.unpack(layer, parent, options);
    return state;
  };
  let parent: ChainId | undefined;
  for (const layer of layers) {
    const name = chainId(parent, layer.diffId);
    if (!deps.snapshots.stat(name)) unpacked.push(name);
    const relay = new ProgressRelay<LoadEvent>();
    const work = onto(layer, parent, {
      ...(signal ? { signal } : {}),
      onProgress: (done, total) => relay.put({ kind: "progress", layer: layer.diffId, done, total }),
    });
    yield* relay.until(work);
    if ((await work) === "there") await deps.unpacker.verify(layer, signal);
    parent = name;
  }
  await stack?.commit();
}
