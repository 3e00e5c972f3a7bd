import { formatRfc3339Nano, parseRfc3339 } from "../../base/lib/timestamp.ts";
import type { ImageHistoryResponseItem, ImageInspect } from "../../base/spec/docker/api.gen.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Image } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { wireDescriptor } from "./descriptor.ts";
import { imageIdentity, manifestSummaries } from "./manifests.ts";
import { platformOption } from "./platform-option.ts";

/** Go's zero time: what Docker shows for "never". */
const never = "0001-01-01T00:00:00Z";

export interface InspectOptions {
  /** Tell of every platform of its index. */
  readonly manifests: boolean;
  readonly platform: string | undefined;
}

export async function inspectImage(
  deps: ImageServiceDeps,
  reference: string,
  options: InspectOptions = { manifests: false, platform: undefined },
): Promise<ImageInspect> {
  const found = deps.images.find(reference, platformOption(deps, options.platform));
  const { image, target } = found;
  const { config } = image;
  const identity = imageIdentity([image, ...image.siblings.flatMap((id) => deps.images.get(id) ?? [])]);
  return {
    Id: image.id,
    RepoTags: [...image.tags],
    RepoDigests: [...image.digests],
    Comment: config.comment ?? "",
    Created: config.created ?? never,
    Author: config.author ?? "",
    Config: present(config.config ?? {}) as NonNullable<ImageInspect["Config"]>,
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config["os.version"] === undefined ? {} : { OsVersion: config["os.version"] }),
    Size: image.size,
    GraphDriver: {
      Name: deps.snapshots.name,
      Data: image.chainId === undefined ? {} : { ...deps.snapshots.describe(image.chainId, "") },
    },
    RootFS: { Type: "layers", ...(image.layers.length === 0 ? {} : { Layers: [...image.layers] }) },
    Metadata: {
      LastTagTime:
        image.lastTagged === 0 ? never : formatRfc3339Nano(BigInt(Math.trunc(image.lastTagged)) * 1_000_000n),
    },
    ...(target ? { Descriptor: wireDescriptor(target) } : {}),
    ...(options.manifests ? { Manifests: await manifestSummaries(deps, found) } : {}),
    ...(identity ? { Identity: identity } : {}),
  };
}

/** Without the members that hold nothing, as Go's omitempty leaves them out. */
function present(config: object): object {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => {
      if (value === undefined || value === null || value === "" || value === false) return false;
      return typeof value !== "object" || Object.keys(value).length > 0;
    }),
  );
}

/** The steps an image was made of, newest first; steps that came with the pulled image have no id of their own. */
export function imageHistory(
  deps: Pick<ImageServiceDeps, "images" | "layerSize">,
  image: Image,
): readonly ImageHistoryResponseItem[] {
  const chain = chainIds(image.layers);
  const items: ImageHistoryResponseItem[] = [];
  let layer = 0;
  for (const entry of image.config.history ?? []) {
    let size = 0;
    if (entry.empty_layer !== true) {
      const name = chain[layer++];
      if (name !== undefined) size = deps.layerSize(name);
    }
    items.unshift({
      Comment: entry.comment ?? "",
      Created: Number((parseRfc3339(entry.created ?? "") ?? 0n) / 1_000_000_000n),
      CreatedBy: entry.created_by ?? "",
      Id: "<missing>",
      Size: size,
      Tags: null as unknown as string[],
    });
  }
  let current: Image | undefined = image;
  for (const item of items) {
    if (!current) break;
    item.Id = current.id;
    if (current.tags.length > 0) item.Tags = [...current.tags];
    current = current.parent === undefined ? undefined : deps.images.get(current.parent);
  }
  return items;
}
