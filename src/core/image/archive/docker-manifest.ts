import { invalid } from "../../../base/lib/errors.ts";
import { checkStructure } from "../../../base/spec/oci/fields.ts";

/** One image of manifest.json (moby's image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format"). */
export interface ArchivedImage {
  /** Path of the config in the archive. */
  readonly config: string;
  readonly repoTags: readonly string[];
  /** Paths of the layers, bottom first. */
  readonly layers: readonly string[];
}

export function parseDockerManifest(bytes: Uint8Array): readonly ArchivedImage[] {
  checkStructure(bytes, "manifest.json");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw invalid(`invalid manifest.json: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (!Array.isArray(value)) throw invalid("invalid manifest.json: not a list");
  return value.map((each: unknown, index) => {
    const from = typeof each === "object" && each !== null ? (each as Record<string, unknown>) : {};
    const config = from["Config"];
    if (typeof config !== "string" || config === "")
      throw invalid(`invalid manifest.json: image ${index} has no Config`);
    return {
      config,
      repoTags: strings(from["RepoTags"], "RepoTags"),
      layers: strings(from["Layers"], "Layers"),
    };
  });
}

function strings(value: unknown, name: string): readonly string[] {
  if (value === undefined || value === null) return [];
  const good = Array.isArray(value) && value.every((each) => typeof each === "string");
  if (!good) throw invalid(`invalid manifest.json: ${name} is not a list of strings`);
  return value as readonly string[];
}
