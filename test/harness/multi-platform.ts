import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

/** What a registry has after `publishIndex`: digests as "sha256:…". */
export interface PublishedIndex {
  readonly index: string;
  /** Manifest by architecture. */
  readonly manifests: Readonly<Record<string, string>>;
  readonly attestation: string;
  readonly provenance: unknown;
}

const types = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};

/**
 * Puts an image index into a registry without any code of Tug's: one image a platform with `tars[architecture]` as its only
 * layer, and a provenance attestation for the first, as BuildKit writes it.
 */
export async function publishIndex(
  registry: string,
  repository: string,
  tag: string,
  tars: Readonly<Record<string, Uint8Array>>,
): Promise<PublishedIndex> {
  const put = (content: Uint8Array | string) => putBlob(registry, repository, content);
  const document = (reference: string, mediaType: string, value: object) =>
    putDocument(registry, repository, reference, mediaType, value);
  const entries: object[] = [];
  const manifests: Record<string, string> = {};
  for (const [architecture, tar] of Object.entries(tars)) {
    const layer = await put(gzipSync(tar, { level: 1 }));
    const config = await put(
      JSON.stringify({
        architecture,
        os: "linux",
        config: { Cmd: ["sh"], Env: ["PATH=/bin"], Labels: { made: "for-tests", arch: architecture } },
        rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
        history: [{ created_by: `built for ${architecture}` }],
      }),
    );
    const manifest = await document("", types.manifest, {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: { mediaType: types.config, ...config },
      layers: [{ mediaType: types.layer, ...layer }],
    });
    manifests[architecture] = manifest.digest;
    entries.push({ mediaType: types.manifest, ...manifest, platform: { architecture, os: "linux" } });
  }
  const subject = Object.values(manifests)[0] ?? "";
  const provenance = { _type: "https://in-toto.io/Statement/v0.1", subject: [{ digest: subject }] };
  const predicate = { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" };
  const statement = await put(JSON.stringify(provenance));
  const attestation = await document("", types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, ...(await put("{}")) },
    layers: [{ mediaType: "application/vnd.in-toto+json", ...statement, annotations: predicate }],
  });
  entries.push({
    mediaType: types.manifest,
    ...attestation,
    platform: { architecture: "unknown", os: "unknown" },
    annotations: {
      "vnd.docker.reference.digest": subject,
      "vnd.docker.reference.type": "attestation-manifest",
    },
  });
  const index = await document(tag, types.index, {
    schemaVersion: 2,
    mediaType: types.index,
    manifests: entries,
  });
  return { index: index.digest, manifests, attestation: attestation.digest, provenance };
}

/** What a registry says a tag or digest is; undefined when it has no such. */
export async function digestInRegistry(
  registry: string,
  repository: string,
  reference: string,
): Promise<string | undefined> {
  const response = await fetch(`http://${registry}/v2/${repository}/manifests/${reference}`, {
    headers: {
      Accept: `${types.index}, ${types.manifest}, application/vnd.docker.distribution.manifest.v2+json`,
    },
  });
  return response.ok ? digestOf(new Uint8Array(await response.arrayBuffer())) : undefined;
}

async function putBlob(
  registry: string,
  repository: string,
  content: Uint8Array | string,
): Promise<{ readonly digest: string; readonly size: number }> {
  const bytes = Buffer.from(content);
  const digest = digestOf(bytes);
  const begun = await fetch(`http://${registry}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const url = new URL(begun.headers.get("location") ?? "", `http://${registry}/`);
  url.searchParams.set("digest", digest);
  await expectOk(await fetch(url, { method: "PUT", body: bytes }));
  return { digest, size: bytes.length };
}

async function putDocument(
  registry: string,
  repository: string,
  reference: string,
  mediaType: string,
  value: object,
): Promise<{ readonly digest: string; readonly size: number }> {
  const body = JSON.stringify(value);
  const digest = digestOf(body);
  const name = reference === "" ? digest : reference;
  const url = `http://${registry}/v2/${repository}/manifests/${name}`;
  await expectOk(await fetch(url, { method: "PUT", body, headers: { "Content-Type": mediaType } }));
  return { digest, size: Buffer.byteLength(body) };
}

async function expectOk(response: Response): Promise<void> {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
}

function digestOf(content: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
