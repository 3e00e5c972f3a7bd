import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";

/** What an image was made for, as its own config says. */
export function platformOf(config: ImageConfig): Platform {
  const { os, architecture, variant } = config;
  const version = config["os.version"];
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { "os.version": version }),
  };
}
