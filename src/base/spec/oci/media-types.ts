/** Media types of the OCI image-spec v1.1 and of Docker's image manifest version 2, schema 2. */
export const mediaTypes = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerForeignLayer: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  dockerSchema1: "application/vnd.docker.distribution.manifest.v1+json",
  dockerSchema1Signed: "application/vnd.docker.distribution.manifest.v1+prettyjws",
  dockerPlugin: "application/vnd.docker.plugin.v1+json",
} as const;

export function isManifestType(type: string): boolean {
  return type === mediaTypes.ociManifest || type === mediaTypes.dockerManifest;
}

export function isIndexType(type: string): boolean {
  return type === mediaTypes.ociIndex || type === mediaTypes.dockerList;
}

export function isSchema1Type(type: string): boolean {
  return type === mediaTypes.dockerSchema1 || type === mediaTypes.dockerSchema1Signed;
}

/** Layers whose bytes may lie elsewhere (image-spec, layer.md, "Non-Distributable Layers"). */
export function isForeignLayerType(type: string): boolean {
  return (
    type === mediaTypes.dockerForeignLayer ||
    type.startsWith("application/vnd.oci.image.layer.nondistributable.v1.tar")
  );
}

/** Config types that make a manifest an image; registries of old sent the latter two for schema 2 (moby did as well). */
export function isImageConfigType(type: string): boolean {
  return (
    type === mediaTypes.ociConfig ||
    type === mediaTypes.dockerConfig ||
    type === "application/octet-stream" ||
    type === "text/html"
  );
}
