import { type ArchiveExportDeps, archiveExporter } from "./archive-exporter.ts";
import type { Exporters } from "./exporter.ts";
import { ImageMaker } from "./images.ts";
import { storeExporter } from "./store.ts";
import { localExporter, tarExporter } from "./tree.ts";

/** Every kind of output. */
export function exporters(deps: ArchiveExportDeps): Exporters {
  const maker = new ImageMaker(deps);
  const store = storeExporter(deps, maker);
  return {
    image: store,
    docker: archiveExporter(deps, maker, "docker", store),
    oci: archiveExporter(deps, maker, "oci", store),
    local: localExporter(deps),
    tar: tarExporter(deps),
    cacheonly: async () => ({ response: {} }),
  };
}
