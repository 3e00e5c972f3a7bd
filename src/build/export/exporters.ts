import { type ArchiveExportDeps, archiveExporter } from "./archive-exporter.ts";
import type { Exporter, Exporters } from "./exporter.ts";
import { flag } from "./format.ts";
import { ImageMaker } from "./images.ts";
import { storeExporter } from "./store.ts";
import { localExporter, tarExporter } from "./tree.ts";

/** Every kind of output. */
export function exporters(deps: ArchiveExportDeps): Exporters {
  const maker = new ImageMaker(deps);
  const store = storeExporter(deps, maker);
  // What was made only to be sent is nobody's any more.
  const sending =
    (exporter: Exporter): Exporter =>
    async (context) => {
      const reply = await exporter(context);
      await deps.collect();
      return reply;
    };
  const unkept = sending(store);
  return {
    image: (context) => (flag(context.output.attributes, "store", true) ? store(context) : unkept(context)),
    docker: sending(archiveExporter(deps, maker, "docker", store)),
    oci: sending(archiveExporter(deps, maker, "oci", store)),
    local: localExporter(deps),
    tar: tarExporter(deps),
    cacheonly: async () => ({ response: {} }),
  };
}
