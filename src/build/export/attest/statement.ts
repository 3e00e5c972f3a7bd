import type { Digest } from "../../../base/lib/ids.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { splitDigest } from "../../../base/spec/oci/digest.ts";
import type { Manifest } from "../../../base/spec/oci/image.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import type { ContentStore, Lease } from "../../../core/content/content.ts";

/** in-toto Statement v0.1, as BuildKit writes them (docs/attestations/attestation-storage.md). */
export interface Statement {
  readonly _type: "https://in-toto.io/Statement/v0.1";
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: Readonly<Record<string, string>> }[];
  readonly predicate: unknown;
}

export function statement(
  predicateType: string,
  predicate: unknown,
  subject: readonly { readonly name: string; readonly digest: Digest }[],
): Statement {
  return {
    _type: "https://in-toto.io/Statement/v0.1",
    predicateType,
    subject: subject.map(({ name, digest }) => {
      const { algorithm, hex } = splitDigest(digest);
      return { name, digest: { [algorithm]: hex } };
    }),
    predicate,
  };
}

/** An attestation manifest. */
export interface AttestationDocument {
  readonly manifest: Descriptor;
  /** What it is made of, itself too. */
  readonly blobs: readonly Digest[];
}

const statementType = "application/vnd.in-toto+json";

const artifactType = "application/vnd.docker.attestation.manifest.v1+json";
const emptyType = "application/vnd.oci.empty.v1+json";

/**
 * The attestation manifest of an image: a layer for each statement, and what an index lists it by. As an artifact (image-spec v1.1, "Guidelines
 * for Artifact Usage") it names the image as its subject, which registries list it under.
 */
export async function putStatements(
  content: ContentStore,
  statements: readonly Statement[],
  {
    subject,
    artifact,
    lease,
  }: { readonly subject: Descriptor; readonly artifact: boolean; readonly lease: Lease },
): Promise<AttestationDocument> {
  const put = async (document: unknown, mediaType: string) => {
    const blob = await content.put(Buffer.from(JSON.stringify(document)), mediaType);
    lease.add(blob.digest);
    return blob;
  };
  const layers: Descriptor[] = [];
  for (const one of statements)
    layers.push({
      ...(await put(one, statementType)),
      annotations: { "in-toto.io/predicate-type": one.predicateType },
    });
  const unknown = { architecture: "unknown", os: "unknown" };
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const config = artifact
    ? await put({}, emptyType)
    : await put({ ...unknown, config: {}, rootfs }, mediaTypes.ociConfig);
  const { mediaType, digest, size } = subject;
  const document: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    ...(artifact && { artifactType }),
    config,
    layers,
    ...(artifact && { subject: { mediaType, digest, size } }),
  };
  const manifest = await put(document, mediaTypes.ociManifest);
  return {
    manifest: {
      ...manifest,
      platform: unknown,
      annotations: {
        "vnd.docker.reference.digest": subject.digest,
        "vnd.docker.reference.type": "attestation-manifest",
      },
    },
    blobs: [...layers.map(({ digest }) => digest), config.digest, manifest.digest],
  };
}
