import { invalid, messageOf } from "../../../base/lib/errors.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import { defineCommand, exactly } from "../../command.ts";
import { strings, text } from "../../flags/flag.ts";
import { isKnownPlatform } from "../../manifest/list-document.ts";
import { fullReference, ManifestStore } from "../../manifest/store.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  args: exactly(2),
  flags: {
    arch: text("", "Architecture it is for"),
    os: text("", "Operating system it is for"),
    "os-features": strings("", "Features that the operating system must have"),
    "os-version": text("", "Version of the operating system"),
    variant: text("", "Variant of the architecture"),
  },
  async run(context, { values, args: [target = "", image = ""] }) {
    const list = parse(target, "manifest list");
    const name = parse(image, "manifest");
    const store = new ManifestStore((await context.config()).folder);
    const manifest = store.get(list, name);
    if (!manifest) throw invalid(`manifest for image ${image} does not exist in ${target}`);
    const before = manifest.Descriptor.platform ?? { architecture: "", os: "" };
    const features = [...new Set([...(before["os.features"] ?? []), ...values["os-features"]])];
    const version = values["os-version"] || before["os.version"];
    const variant = values.variant || before.variant;
    const platform: Platform = {
      architecture: values.arch || before.architecture,
      os: values.os || before.os,
      ...(version ? { "os.version": version } : {}),
      ...(features.length > 0 ? { "os.features": features } : {}),
      ...(variant ? { variant } : {}),
    };
    if (!isKnownPlatform(platform.os, platform.architecture)) {
      throw invalid(
        `manifest entry for image has unsupported os/arch combination: ${values.os}/${values.arch}`,
      );
    }
    store.save(list, name, { ...manifest, Descriptor: { ...manifest.Descriptor, platform } });
    return 0;
  },
});

function parse(word: string, what: string): string {
  try {
    return fullReference(word).name;
  } catch (error) {
    throw invalid(`annotate: error parsing name for ${what} ${word}: ${messageOf(error)}`, error);
  }
}
