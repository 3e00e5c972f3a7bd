import { TugError } from "../../base/lib/errors.ts";
import type { ExportDeps } from "./deps.ts";
import type { Exporter, Exporters } from "./exporter.ts";
import { storeExporter } from "./store.ts";

/** Every kind of output. */
export function exporters(deps: ExportDeps): Exporters {
  const missing: Exporter = async ({ output }) => {
    throw new TugError("not-implemented", `output ${output.type}`);
  };
  return {
    image: storeExporter(deps),
    docker: missing,
    oci: missing,
    local: missing,
    tar: missing,
    cacheonly: async () => ({ response: {} }),
  };
}
