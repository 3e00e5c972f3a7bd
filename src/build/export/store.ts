import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { Step } from "../plan-build.ts";
import type { ExportDeps } from "./deps.ts";
import type { Exporter } from "./exporter.ts";
import { exportImage } from "./image.ts";

/** `--output type=image`: the image in this host's store, by its names. */
export function storeExporter(deps: ExportDeps): Exporter {
  return async ({ request, output, targets, progress }) => {
    const names = namesOf(output.attributes);
    const step = new Step(deps.clock, progress, "exporting to image");
    try {
      let imageId = "";
      for (const solved of targets) {
        const layers = await step.part("exporting layers", () => solved.layers());
        const image = await exportImage(deps, { target: solved.target, layers, names, epoch: request.epoch });
        imageId = image.id;
        await step.part(`writing image ${image.id}`, async () => undefined);
        for (const name of names) {
          await step.part(`naming to ${canonical(name)}`, async () => deps.tagged(image, name));
        }
      }
      step.done();
      const response = {
        "containerimage.config.digest": imageId,
        "containerimage.digest": imageId,
        ...(names.length > 0 ? { "image.name": names.map(canonical).join(",") } : {}),
      };
      return { response, imageId };
    } catch (error) {
      step.done(error);
      throw error;
    }
  };
}

/** `name=a,b`: familiar names with tags. */
export function namesOf(attributes: Readonly<Record<string, string>>): readonly string[] {
  const names = (attributes["name"] ?? "").split(",").filter((name) => name !== "");
  return [...new Set(names.map((name) => familiarString(withDefaultTag(parseReference(name)))))];
}

function canonical(name: string): string {
  const { domain, path, tag } = withDefaultTag(parseReference(name));
  return `${domain}/${path}:${tag}`;
}
