import { type Fields, optionalObject, parseObject } from "../../base/spec/oci/fields.ts";

/** What of the provenance goes into a metadata file (`BUILDX_METADATA_PROVENANCE`, as buildx reads it). */
export type ProvenanceMode = "min" | "max" | "disabled";

export function provenanceMode(text: string | undefined): ProvenanceMode {
  switch (text?.toLowerCase()) {
    case "max":
      return "max";
    case "disabled":
    case "false":
    case "0":
      return "disabled";
    default:
      return "min";
  }
}

/** Members of the metadata file: base64 of JSON, as an exporter would tell it. Without `max` the steps and their sources are left out. */
export function provenanceMembers(
  found: ReadonlyMap<string, Uint8Array>,
  mode: ProvenanceMode,
): Readonly<Record<string, string>> {
  const members: Record<string, string> = {};
  for (const [platform, bytes] of found) {
    const kept =
      mode === "max" ? bytes : Buffer.from(JSON.stringify(least(parseObject(bytes, "provenance", limit))));
    const name = platform === "" ? "buildx.build.provenance" : `buildx.build.provenance/${platform}`;
    members[name] = Buffer.from(kept).toString("base64");
  }
  return members;
}

function least(predicate: Fields): object {
  const { buildConfig: _, ...rest } = predicate;
  const metadata = optionalObject(predicate, "metadata", "provenance");
  if (!metadata) return rest;
  const { "https://mobyproject.org/buildkit@v1#metadata": __, ...kept } = metadata;
  return { ...rest, metadata: kept };
}

/** Of a predicate: it names every step of a build. */
const limit = 64 << 20;
