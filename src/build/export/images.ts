import type { ImageConfig } from "../../base/spec/oci/image.ts";
import type { Lease } from "../../core/content/content.ts";
import type { Activity } from "../activity.ts";
import { type Assembled, assemble } from "./assemble.ts";
import { statements } from "./attest/statements.ts";
import type { ExportDeps } from "./deps.ts";
import type { ExportContext } from "./exporter.ts";
import { type FinishedImage, finishImage } from "./finish.ts";
import { type ImageFormat, imageFormat } from "./format.ts";
import { baseBlobs } from "./image.ts";
import { LayerForms } from "./layer-blobs.ts";

/** Makes images of a build's targets, for whichever output. */
export class ImageMaker {
  readonly #deps: ExportDeps;
  readonly #forms: LayerForms;

  constructor(deps: ExportDeps) {
    this.#deps = deps;
    this.#forms = new LayerForms(deps);
  }

  format({ request, output }: ExportContext): ImageFormat {
    return imageFormat(request, output, this.#deps.host);
  }

  /** Configs and layers; nothing but what was asked to be changed is read. */
  async finish(
    context: ExportContext,
    step: Activity,
    lease: Lease,
    rewrite: number | undefined,
  ): Promise<readonly FinishedImage[]> {
    const { request, targets, signal, inlineCache } = context;
    return await step.part("exporting layers", async () => {
      const images: FinishedImage[] = [];
      for (const solved of targets) {
        // Now it is known which blobs the base's layers came as: they cannot be made again.
        for (const digest of await baseBlobs(this.#deps, solved.target)) lease.add(digest);
        const { squash, epoch } = request;
        const options = { squash, epoch, rewrite, lease, signal };
        const image = await finishImage(this.#deps, this.#forms, solved, options);
        const inline = inlineCache ? await inlineCache(solved, image.layers) : {};
        const config = { ...image.config, ...inline } as ImageConfig;
        images.push({ ...image, config });
      }
      return images;
    });
  }

  /** Documents and blobs, attestations too. */
  async assemble(
    context: ExportContext,
    step: Activity,
    images: readonly FinishedImage[],
    options: { readonly format: ImageFormat; readonly names: readonly string[]; readonly lease: Lease },
  ): Promise<Assembled> {
    const { format, lease, names } = options;
    const { request, signal } = context;
    const made = await assemble(this.#deps, this.#forms, images, {
      format,
      lease,
      signal,
      index: request.multiPlatform || images.length > 1,
      statements: (image, digest) => {
        const subjects = names.length > 0 ? names : ["_"];
        return statements(
          this.#deps,
          context,
          image.solved,
          subjects.map((name) => ({ name, digest })),
        );
      },
    });
    const nothing = async () => undefined;
    for (const { manifest, config, attestation } of made.images) {
      await step.part(`exporting manifest ${manifest.digest}`, nothing);
      await step.part(`exporting config ${config.digest}`, nothing);
      if (attestation)
        await step.part(`exporting attestation manifest ${attestation.manifest.digest}`, nothing);
    }
    if (made.index) await step.part(`exporting manifest list ${made.index.descriptor.digest}`, nothing);
    return made;
  }
}

/** BuildKit's members of the exporter response (exporter/containerimage/exptypes). */
export function imageResponse(made: Assembled, names: readonly string[]): Readonly<Record<string, string>> {
  const [only] = made.images;
  return {
    ...(only && made.images.length === 1 && { "containerimage.config.digest": only.config.digest }),
    "containerimage.digest": made.target.digest,
    "containerimage.descriptor": Buffer.from(JSON.stringify(made.target)).toString("base64"),
    ...(names.length > 0 && { "image.name": names.join(",") }),
  };
}
