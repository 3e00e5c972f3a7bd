import type { OCIDescriptor } from "../../base/spec/docker/api.gen.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";

/** A descriptor in the wire's (mutable) shape. */
export function wireDescriptor(descriptor: Descriptor): OCIDescriptor {
  const { mediaType, digest, size, urls, annotations, platform, artifactType } = descriptor;
  return {
    mediaType,
    digest,
    size,
    ...(urls ? { urls: [...urls] } : {}),
    ...(annotations ? { annotations: { ...annotations } } : {}),
    ...(platform ? { platform: wirePlatform(platform) } : {}),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

export function wirePlatform(
  platform: NonNullable<Descriptor["platform"]>,
): NonNullable<OCIDescriptor["platform"]> {
  const features = platform["os.features"];
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform["os.version"] === undefined ? {} : { "os.version": platform["os.version"] }),
    ...(features ? { "os.features": [...features] } : {}),
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
}
