import { invalid, TugError } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { DistributionManifest } from "../../base/spec/docker/extensions.ts";
import { parseReference, type Reference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import { manifestLimit, parseImageDocument } from "../../base/spec/oci/parse.ts";
import { configLimit } from "../../base/spec/oci/parse-config.ts";
import type { RemoteOptions } from "../../core/distribution/distribution.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { wireDescriptor } from "./descriptor.ts";
import { pushDocument } from "./push-index.ts";

export interface ManifestOptions {
  readonly auth: AuthConfig | undefined;
  /** A registry with any certificate or none. */
  readonly insecure: boolean;
}

/** A registry's manifest or index as it is, and for a manifest what its image was made for. */
export async function readManifestDocument(
  deps: ImageServiceDeps,
  reference: string,
  options: ManifestOptions,
): Promise<DistributionManifest> {
  const { registry } = registryFor(deps, options.insecure);
  const ref = withDefaultTag(parseReference(reference));
  using lease = deps.content.lease();
  const remote = { auth: options.auth, lease };
  const target = await registry.document(ref, remote);
  const bytes = await deps.content.read(target.digest, manifestLimit);
  const document = parseImageDocument(bytes, target.mediaType);
  let platform: Platform | undefined;
  if (document.kind === "manifest") {
    const { config } = document.manifest;
    await registry.fetch(ref, config, remote);
    platform = claimedPlatform(await deps.content.read(config.digest, configLimit));
  }
  return {
    Descriptor: wireDescriptor({ ...target, ...(platform ? { platform } : {}) }),
    Document: Buffer.from(bytes).toString("utf8"),
  };
}

/**
 * Puts an index into a registry. What it lists and the repository lacks is mounted or copied from the repositories `from`.
 * Gives the index's digest.
 */
export async function writeManifestDocument(
  deps: ImageServiceDeps,
  reference: string,
  bytes: Uint8Array,
  options: ManifestOptions & { readonly mediaType: string; readonly from: readonly string[] },
  signal: AbortSignal,
): Promise<{ readonly Digest: string }> {
  if (bytes.length > manifestLimit) throw invalid(`manifest is larger than ${manifestLimit} bytes`);
  const ref = withDefaultTag(parseReference(reference));
  const sources = options.from.map((text): Reference => {
    const { domain, path } = parseReference(text);
    return { domain, path, tag: undefined, digest: undefined };
  });
  if (parseImageDocument(bytes, options.mediaType).kind !== "index") {
    throw invalid("only a manifest list or an image index can be put here");
  }
  const { registry, pusher } = registryFor(deps, options.insecure);
  const remote: RemoteOptions = { auth: options.auth, signal };
  try {
    const target: Descriptor = await deps.content.put(bytes, options.mediaType);
    using _lease = deps.content.lease([target.digest]);
    const show = () => undefined;
    const pushed = await pushDocument({ ...deps, registry, pusher }, target, { ref, sources, remote, show });
    return { Digest: pushed.digest };
  } finally {
    await deps.collect();
  }
}

function registryFor(
  deps: ImageServiceDeps,
  insecure: boolean,
): Pick<ImageServiceDeps, "registry" | "pusher"> {
  return insecure ? { registry: deps.anyRegistry, pusher: deps.anyRegistry } : deps;
}

/** What a config says of its platform, whatever else it is. */
function claimedPlatform(config: Uint8Array): Platform | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(config).toString("utf8"));
  } catch (cause) {
    throw new TugError("data-loss", "invalid image config", { cause });
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { os, architecture, variant, "os.version": version } = value as Record<string, unknown>;
  return {
    architecture: typeof architecture === "string" ? architecture : "",
    os: typeof os === "string" ? os : "",
    ...(typeof variant === "string" && variant !== "" ? { variant } : {}),
    ...(typeof version === "string" && version !== "" ? { "os.version": version } : {}),
  };
}
