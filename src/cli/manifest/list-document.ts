import { invalid } from "../../base/lib/errors.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { StoredManifest } from "./store.ts";

/** Operating systems and architectures that Docker's `manifest annotate` takes together. */
const known = new Set(
  (
    "darwin/386 darwin/amd64 darwin/arm darwin/arm64 dragonfly/amd64 freebsd/386 freebsd/amd64 freebsd/arm linux/386 " +
    "linux/amd64 linux/arm linux/arm64 linux/mips64 linux/mips64le linux/ppc64le linux/riscv64 linux/s390x netbsd/386 " +
    "netbsd/amd64 netbsd/arm openbsd/386 openbsd/amd64 openbsd/arm plan9/386 plan9/amd64 solaris/amd64 windows/386 " +
    "windows/amd64"
  ).split(" "),
);

export function isKnownPlatform(os: string, architecture: string): boolean {
  return known.has(`${os}/${architecture}`);
}

/**
 * The index or manifest list of these manifests in the very bytes that Docker's client makes, so that both give it one digest.
 * All must be of the list's own registry.
 */
export function listDocument(
  list: string,
  manifests: readonly StoredManifest[],
): { readonly mediaType: string; readonly text: string } {
  const { domain } = parseReference(list);
  for (const { Ref } of manifests) {
    const own = parseReference(Ref).domain;
    if (own === domain) continue;
    throw invalid(
      `cannot use source images from a different registry than the target image: ${own} != ${domain}`,
    );
  }
  return descriptorList(manifests.map((one) => one.Descriptor));
}

/** The first manifest decides whether it is OCI's or Docker's. */
export function descriptorList(descriptors: readonly Descriptor[]): {
  readonly mediaType: string;
  readonly text: string;
} {
  const oci = descriptors[0]?.mediaType === mediaTypes.ociManifest;
  const mediaType = oci ? mediaTypes.ociIndex : mediaTypes.dockerList;
  const entries = descriptors.map((descriptor) => ({
    mediaType: descriptor.mediaType,
    size: descriptor.size,
    digest: descriptor.digest,
    platform: {
      architecture: descriptor.platform?.architecture ?? "",
      os: descriptor.platform?.os ?? "",
      ...optional("os.version", descriptor.platform?.["os.version"]),
      ...optional("os.features", descriptor.platform?.["os.features"]),
      ...optional("variant", descriptor.platform?.variant),
    },
  }));
  const text = JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries }, undefined, "   ");
  return { mediaType, text };
}

function optional(name: string, value: string | readonly string[] | undefined): object {
  return value === undefined || value.length === 0 ? {} : { [name]: value };
}

/** A list that is pushed must say of each manifest what it is for. */
export function checkPushable(manifests: readonly StoredManifest[]): void {
  for (const { Ref, Descriptor: descriptor } of manifests) {
    if (descriptor.platform?.architecture && descriptor.platform.os) continue;
    throw invalid(`manifest ${Ref} must have an OS and Architecture to be pushed to a registry`);
  }
}
