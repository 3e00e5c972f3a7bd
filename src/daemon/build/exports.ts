import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import { manifestLimit } from "../../base/spec/oci/parse.ts";
import { hostPlatform } from "../../base/spec/oci/platform.ts";
import type { CacheRegistry, RemoteBlobs } from "../../build/cache/remote/sources.ts";
import type { ArchiveExportDeps } from "../../build/export/archive-exporter.ts";
import type { ImagePusher, PushTarget } from "../../build/export/deps.ts";
import { TreeMounts } from "../../build/export/tree-mounts.ts";
import type { StepSnapshots } from "../../build/run/runner.ts";
import { FilesClient } from "../../core/files/client.ts";
import type { EventPublisher } from "../../engine/events/event.ts";
import { authOf } from "../../engine/images/build-source.ts";
import type { ImageServiceDeps } from "../../engine/images/deps.ts";
import { pushDocument } from "../../engine/images/push-index.ts";
import type { ImageParts } from "../engine/images.ts";
import { helperCommand } from "../executable.ts";

/** What outputs of builds are written with. `recover` its trees before the first build. */
export function buildExports(parts: {
  readonly images: ImageParts;
  readonly imageDeps: ImageServiceDeps;
  readonly steps: StepSnapshots;
  readonly execRoot: string;
  readonly scratch: string;
  readonly events: EventPublisher;
  readonly clock: Clock;
}): ArchiveExportDeps {
  const { images, imageDeps, steps, events, clock } = parts;
  return {
    content: images.content,
    images: images.store,
    clock,
    host: hostPlatform(),
    scratch: parts.scratch,
    blobsOf: (image) => images.blobs.blobsOf(image),
    layerBlob: (layer, diffId, signal) => images.blobs.layer(layer, diffId, signal),
    letGo: (layers) => images.layers.unpin(layers),
    unpacker: images.unpacker,
    files: new FilesClient({ helperCommand: helperCommand() }),
    trees: new TreeMounts({ root: join(parts.execRoot, "build-exports"), snapshots: steps }),
    push: pusher(imageDeps),
    collect: () => imageDeps.collect(),
    tagged: (image, name) =>
      events.publish({
        type: "image",
        action: "tag",
        id: image.id,
        attributes: { ...image.config.config?.Labels, name },
      }),
  };
}

/** Registries as caches need them. */
export function cacheRegistry(imageDeps: ImageServiceDeps): CacheRegistry {
  const remote = async (ref: Reference, { session, ...options }: RemoteBlobs) => ({
    ...options,
    auth: await authOf(session, ref.domain),
  });
  const via = ({ insecure }: RemoteBlobs) => (insecure ? imageDeps.anyRegistry : imageDeps.registry);
  return {
    document: async (ref, options) => await via(options).document(ref, await remote(ref, options)),
    fetch: async (ref, blob, options) => {
      const { onProgress } = options;
      await via(options).fetch(ref, blob, { ...(await remote(ref, options)), onProgress });
    },
  };
}

function pusher(imageDeps: ImageServiceDeps): ImagePusher {
  const remote = async ({ ref, session, signal }: PushTarget) => ({
    auth: await authOf(session, ref.domain),
    signal,
  });
  const via = ({ insecure }: PushTarget) => (insecure ? imageDeps.anyRegistry : imageDeps.pusher);
  return {
    document: async (target, options) => {
      await pushDocument({ ...imageDeps, pusher: via(options) }, target, {
        ref: options.ref,
        sources: options.sources ?? [],
        remote: await remote(options),
        show: (blob, _, progress) => {
          if (progress) options.onProgress?.(blob, progress.current, progress.total);
        },
      });
    },
    name: async (target, options) => {
      const bytes = await imageDeps.content.read(target.digest, manifestLimit);
      await via(options).pushManifest(options.ref, bytes, target.mediaType, await remote(options));
    },
  };
}
