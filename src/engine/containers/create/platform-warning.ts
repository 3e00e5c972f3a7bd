import { formatPlatform, hostPlatform, platformDistance } from "../../../base/spec/oci/platform.ts";
import type { Image } from "../../../core/image/image.ts";
import { platformOf } from "../../../core/image/platform-of.ts";

/** Docker's warning for an image of another machine that nobody asked for by its platform. */
export function platformWarning(image: Image, asked: string | undefined): readonly string[] {
  const platform = platformOf(image.config);
  if (asked || platformDistance(hostPlatform(), platform) !== undefined) return [];
  return [
    `The requested image's platform (${formatPlatform(platform)}) does not match the detected host platform ` +
      `(${formatPlatform(hostPlatform())}) and no specific platform was requested`,
  ];
}
