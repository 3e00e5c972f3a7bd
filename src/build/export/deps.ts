import type { Image } from "../../core/image/image.ts";
import type { ImageExportDeps } from "./image.ts";

/** What outputs are written with. */
export interface ExportDeps extends ImageExportDeps {
  /** Told of each name that an image got. */
  readonly tagged: (image: Image, name: string) => void;
}
