import type { Digest } from "../../base/lib/ids.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { Index, Manifest } from "../../base/spec/oci/image.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { normalizePlatform } from "../../base/spec/oci/platform.ts";
import type { Lease } from "../../core/content/content.ts";
import { type AttestationDocument, putStatements, type Statement } from "./attest/statement.ts";
import type { ExportDeps } from "./deps.ts";
import type { FinishedImage } from "./finish.ts";
import { annotationsFor, type ImageFormat } from "./format.ts";
import { type LayerForms, layerTyped } from "./layer-blobs.ts";

/** An image with all its documents and blobs in content. */
export interface AssembledImage {
  readonly finished: FinishedImage;
  readonly config: Descriptor;
  /** As an index lists it: with its platform. */
  readonly manifest: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly attestation: AttestationDocument | undefined;
}

export interface Assembled {
  /** What a name of it means: the index, or the only manifest. */
  readonly target: Descriptor;
  readonly images: readonly AssembledImage[];
  readonly index: { readonly descriptor: Descriptor; readonly manifests: readonly Descriptor[] } | undefined;
}

export interface AssembleOptions {
  readonly format: ImageFormat;
  /** An index even for one platform. */
  readonly index: boolean;
  readonly statements: (
    image: FinishedImage,
    /** Of the image's manifest. */
    subject: Digest,
  ) => Promise<readonly Statement[]>;
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

/** Makes blobs and documents of finished images. What it puts into content is kept by the lease. */
export async function assemble(
  deps: ExportDeps,
  forms: LayerForms,
  images: readonly FinishedImage[],
  options: AssembleOptions,
): Promise<Assembled> {
  const { format, lease } = options;
  const made: AssembledImage[] = [];
  for (const finished of images) made.push(await assembleImage(deps, forms, finished, options));
  const attested = made.some(({ attestation }) => attestation !== undefined);
  const [only] = made;
  const indexAnnotations = annotationsFor(format, "index");
  if (only && made.length === 1 && !options.index && !attested && !indexAnnotations) {
    const { platform: _, ...target } = only.manifest;
    return { target, images: made, index: undefined };
  }
  const manifests = made.map(({ manifest }) => manifest);
  for (const { attestation } of made) if (attestation) manifests.push(attestation.manifest);
  const document: Index = {
    schemaVersion: 2,
    mediaType: format.oci ? mediaTypes.ociIndex : mediaTypes.dockerList,
    manifests,
    ...(indexAnnotations && { annotations: indexAnnotations }),
  };
  const descriptor = await put(deps, document, document.mediaType ?? "", lease);
  const own = annotationsFor(format, "index-descriptor");
  const target = own ? { ...descriptor, annotations: own } : descriptor;
  return { target, images: made, index: { descriptor: target, manifests } };
}

async function assembleImage(
  deps: ExportDeps,
  forms: LayerForms,
  finished: FinishedImage,
  options: AssembleOptions,
): Promise<AssembledImage> {
  const { format, lease, signal } = options;
  const platform = platformOf(finished);
  const layers: Descriptor[] = [];
  for (const { chainId, diffId, own } of finished.layers) {
    let blob = await deps.layerBlob(chainId, diffId, signal);
    lease.add(blob.digest);
    const { compression, level } = format;
    if (compression !== undefined && (own || format.force))
      blob = await forms.compressed(blob, { compression, level }, lease, signal);
    layers.push(layerTyped(blob, format.oci));
  }
  const config = await put(
    deps,
    finished.config,
    format.oci ? mediaTypes.ociConfig : mediaTypes.dockerConfig,
    lease,
  );
  const annotations = annotationsFor(format, "manifest", platform);
  const document: Manifest = {
    schemaVersion: 2,
    mediaType: format.oci ? mediaTypes.ociManifest : mediaTypes.dockerManifest,
    config,
    layers,
    ...(annotations && { annotations }),
  };
  const manifest = await put(deps, document, document.mediaType ?? "", lease);
  const own = annotationsFor(format, "manifest-descriptor", platform);
  const statements = await options.statements(finished, manifest.digest);
  return {
    finished,
    config,
    manifest: { ...manifest, ...(own && { annotations: own }), platform },
    layers,
    attestation:
      statements.length === 0
        ? undefined
        : await putStatements(deps.content, statements, {
            subject: manifest,
            artifact: format.artifact,
            lease,
          }),
  };
}

function platformOf({ config }: FinishedImage): Platform {
  const { os, architecture, variant } = config;
  const version = config["os.version"];
  return {
    ...normalizePlatform({ os, architecture, ...(variant && { variant }) }),
    ...(version && { "os.version": version }),
  };
}

async function put(
  deps: Pick<ExportDeps, "content">,
  document: unknown,
  mediaType: string,
  lease: Lease,
): Promise<Descriptor> {
  const descriptor = await deps.content.put(Buffer.from(JSON.stringify(document)), mediaType);
  lease.add(descriptor.digest);
  return descriptor;
}
