import { parseBoolean } from "../../base/lib/boolean.ts";
import { invalid, TugError } from "../../base/lib/errors.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform, parsePlatform } from "../../base/spec/oci/platform.ts";
import type { BuildRequest, Output } from "../request.ts";

export type LayerCompression = "gzip" | "zstd" | "uncompressed";

/** How an image's documents and layers are written, as `--output` says it. */
export interface ImageFormat {
  /** Media types of the image-spec, not Docker's own. */
  readonly oci: boolean;
  /** Attestations are artifacts of the image-spec. */
  readonly artifact: boolean;
  /** undefined: layers as they are. */
  readonly compression: LayerCompression | undefined;
  readonly level: number | undefined;
  /** The base's layers, too. */
  readonly force: boolean;
  /** Seconds: files that are younger than this get it as their time. */
  readonly rewrite: number | undefined;
  readonly annotations: readonly Annotation[];
}

export interface Annotation {
  readonly where: "manifest" | "manifest-descriptor" | "index" | "index-descriptor";
  /** undefined: of every platform. */
  readonly platform: string | undefined;
  readonly key: string;
  readonly value: string;
}

export function flag(
  attributes: Readonly<Record<string, string>>,
  name: string,
  otherwise: boolean,
): boolean {
  const text = attributes[name];
  if (text === undefined) return otherwise;
  // "push" alone.
  if (text === "") return true;
  try {
    return parseBoolean(text);
  } catch (cause) {
    throw invalid(`non-bool value specified for ${name}: ${JSON.stringify(text)}`, cause);
  }
}

/** Throws invalid-argument for what has no meaning, not-implemented for estargz. */
export function imageFormat(request: BuildRequest, output: Output, host: Platform): ImageFormat {
  const { attributes } = output;
  const annotations = readAnnotations(attributes, host);
  const epoch = attributes["source-date-epoch"] === undefined ? request.epoch : readEpoch(attributes);
  // Two builds of the same epoch are meant to come out the same: times of files belong to that.
  const rewrite = flag(attributes, "rewrite-timestamp", epoch !== undefined);
  if (rewrite && epoch === undefined)
    throw invalid("rewrite-timestamp needs a time: set SOURCE_DATE_EPOCH (seconds since 1970)");
  const asked = readCompression(attributes["compression"]);
  const level = readLevel(attributes["compression-level"], asked);
  const force = flag(attributes, "force-compression", false);
  const artifact = flag(attributes, "oci-artifact", false);
  if (artifact && !flag(attributes, "oci-mediatypes", true))
    throw invalid('exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"');
  return {
    artifact,
    oci: flag(attributes, "oci-mediatypes", output.type !== "docker") || annotations.length > 0,
    compression: asked ?? (level !== undefined || force ? "gzip" : undefined),
    level,
    force,
    rewrite: rewrite ? epoch : undefined,
    annotations,
  };
}

function readEpoch(attributes: Readonly<Record<string, string>>): number {
  const text = attributes["source-date-epoch"] ?? "";
  if (!/^-?\d{1,12}$/.test(text)) throw invalid(`invalid source-date-epoch: ${JSON.stringify(text)}`);
  return Number(text);
}

export function readCompression(text: string | undefined): LayerCompression | undefined {
  if (text === undefined || text === "") return undefined;
  if (text === "gzip" || text === "zstd" || text === "uncompressed") return text;
  if (text === "estargz")
    throw new TugError(
      "not-implemented",
      "compression estargz is not written by this builder: take gzip, zstd or uncompressed",
    );
  throw invalid(`unsupported compression type ${JSON.stringify(text)}: gzip, zstd or uncompressed`);
}

export function readLevel(
  text: string | undefined,
  compression: LayerCompression | undefined,
): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,2}$/.test(text) || Number(text) > ((compression ?? "gzip") === "gzip" ? 9 : 22))
    throw invalid(`compression-level ${JSON.stringify(text)}: 0 to 9 for gzip, 0 to 22 for zstd`);
  return Number(text);
}

/** "annotation.k", "annotation-index.k", "annotation-manifest[linux/arm64].k", as BuildKit has them (exporter/containerimage/annotations.go). */
function readAnnotations(
  attributes: Readonly<Record<string, string>>,
  host: Platform,
): readonly Annotation[] {
  const found: Annotation[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    if (!name.startsWith("annotation.") && !/^annotation[-[]/.test(name)) continue;
    const match = /^annotation(?:-([a-z-]+))?(?:\[([^\]]+)\])?\.(.+)$/.exec(name);
    const where = match?.[1] ?? "manifest";
    const key = match?.[3];
    if (
      key === undefined ||
      (where !== "manifest" &&
        where !== "manifest-descriptor" &&
        where !== "index" &&
        where !== "index-descriptor")
    )
      throw invalid(
        `invalid annotation ${JSON.stringify(name)}: annotation[-manifest|-index|-manifest-descriptor|-index-descriptor][[platform]].key`,
      );
    const platform = match?.[2];
    found.push({
      where,
      platform: platform === undefined ? undefined : formatPlatform(parsePlatform(platform, host)),
      key,
      value,
    });
  }
  return found;
}

export function annotationsFor(
  format: ImageFormat,
  where: Annotation["where"],
  platform?: Platform,
): Readonly<Record<string, string>> | undefined {
  const name = platform && formatPlatform(platform);
  const own = format.annotations.filter(
    (one) => one.where === where && (one.platform === undefined || one.platform === name),
  );
  if (own.length === 0) return undefined;
  return Object.fromEntries(own.map(({ key, value }) => [key, value]));
}
