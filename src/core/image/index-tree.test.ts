import { expect, test } from "bun:test";
import type { Digest } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { attestationSubject, completeManifest, indexBlobs, readIndexTree } from "./index-tree.ts";

/** Documents by digest. */
class Documents {
  readonly #bytes = new Map<Digest, Buffer>();

  put(value: object, mediaType: string, annotations?: Readonly<Record<string, string>>): Descriptor {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    this.#bytes.set(digest, bytes);
    return { mediaType, digest, size: bytes.length, ...(annotations ? { annotations } : {}) };
  }

  manifest(name: string, annotations?: Readonly<Record<string, string>>): Descriptor {
    const layer = this.put({ layer: name }, mediaTypes.ociLayer);
    const config = this.put({ config: name }, mediaTypes.ociConfig);
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
    return this.put(document, mediaTypes.ociManifest, annotations);
  }

  index(...manifests: readonly Descriptor[]): Descriptor {
    return this.put({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  }

  forget(digest: Digest): void {
    this.#bytes.delete(digest);
  }

  stat = (digest: Digest) => {
    const bytes = this.#bytes.get(digest);
    return bytes && { digest, size: bytes.length };
  };
  read = async (digest: Digest) => this.#bytes.get(digest) ?? Buffer.alloc(0);
}

const digests = (list: readonly Descriptor[]) => list.map((one) => one.digest);

test("an index inside an index stands as what it lists, if it is here", async () => {
  const at = new Documents();
  const [one, two, three] = [at.manifest("one"), at.manifest("two"), at.manifest("three")];
  const inner = at.index(two);
  const absent = at.index(three);
  at.forget(absent.digest);
  const tree = await readIndexTree(at, at.index(one, inner, absent));
  expect(digests(tree.manifests)).toEqual(digests([one, two, absent]));
  expect(digests(tree.inner)).toEqual(digests([inner]));
});

test("nesting has an end", async () => {
  const at = new Documents();
  let index = at.index(at.manifest("deep"));
  for (let i = 0; i < 10; i++) index = at.index(index);
  const tree = await readIndexTree(at, index);
  expect(tree.inner.length).toBe(3);
  expect(tree.manifests[0]?.mediaType).toBe(mediaTypes.ociIndex);
});

test("attestations are kept whole or not at all", async () => {
  const at = new Documents();
  const image = at.manifest("image");
  const note = (subject: string) => ({
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": subject,
  });
  const whole = at.manifest("whole", note(image.digest));
  const broken = at.manifest("broken", note(image.digest));
  at.forget(digestOf(JSON.stringify({ layer: "broken" })));
  const tree = await readIndexTree(at, at.index(image, whole, broken));
  expect(tree.manifests.map(attestationSubject)).toEqual([undefined, image.digest, image.digest]);
  expect(await completeManifest(at, broken)).toBeUndefined();
  const blobs = await indexBlobs(at, tree);
  expect(blobs.length).toBe(3);
  expect(blobs).toContain(whole.digest);
});
