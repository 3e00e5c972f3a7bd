import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { parsePlatform } from "../../base/spec/oci/platform.ts";

/** A platform as the API's users write it; undefined for none. What it leaves out is the host's. */
export function platformOption(
  deps: { readonly platform: Platform },
  text: string | undefined,
): Platform | undefined {
  return text === undefined || text === "" ? undefined : parsePlatform(text, deps.platform);
}
