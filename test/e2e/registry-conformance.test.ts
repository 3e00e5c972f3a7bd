import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { ociIndex, ociManifest, TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(60_000);
/**
 * What the distribution spec's conformance suite asserts (opencontainers/distribution-spec, conformance/, 1.1 and main), told again: every
 * way to push a blob, with both digests; every kind of document through push, list, head, pull, referrers and delete; what must fail.
 */
let registry: TugRegistry;
beforeAll(async () => {
  registry = await TugRegistry.start();
});
afterAll(async () => await registry[Symbol.asyncDispose]());

type Algorithm = "sha256" | "sha512";
type Bytes = Uint8Array | string;
const repository = "conformance/one";
const other = "conformance/two";
const octets = { "Content-Type": "application/octet-stream" };
const at = (path: string, name = repository) => `/v2/${name}/${path}`;
const digest = (bytes: Bytes, algorithm: Algorithm = "sha256") =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;

async function begin(query = "", name = repository): Promise<{ status: number; location: string }> {
  const response = await registry.request("POST", at(`blobs/uploads/${query}`, name));
  return { status: response.status, location: response.headers.get("location") ?? "" };
}

const withDigest = (location: string, wanted: string) =>
  `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(wanted)}`;

/** Sends a chunk with its range; the status and the location of what follows. */
async function chunk(method: "PATCH" | "PUT", location: string, bytes: Uint8Array, start: number) {
  const response = await registry.request(method, location, {
    body: bytes,
    headers: { ...octets, "Content-Range": `${start}-${start + bytes.length - 1}` },
  });
  return {
    status: response.status,
    range: response.headers.get("range"),
    location: response.headers.get("location") ?? location,
  };
}

/** The ways to push `bytes` as `wanted`; each tells the status and location of its last request. */
const pushes: Record<
  string,
  (bytes: Uint8Array, wanted: string) => Promise<{ status: number; location: string }>
> = {
  "one POST": async (bytes, wanted) => {
    const response = await registry.request("POST", at(`blobs/uploads/?digest=${wanted}`), {
      body: bytes,
      headers: octets,
    });
    return { status: response.status, location: response.headers.get("location") ?? "" };
  },
  "POST and PUT": async (bytes, wanted) => {
    const begun = await begin();
    expect(begun.status).toBe(202);
    const response = await registry.request("PUT", withDigest(begun.location, wanted), {
      body: bytes,
      headers: octets,
    });
    return { status: response.status, location: response.headers.get("location") ?? "" };
  },
  "a PATCH without a range": async (bytes, wanted) => {
    const begun = await begin();
    const patch = await registry.request("PATCH", begun.location, { body: bytes, headers: octets });
    expect(patch.status).toBe(202);
    const response = await registry.request(
      "PUT",
      withDigest(patch.headers.get("location") ?? "", wanted),
      {},
    );
    return { status: response.status, location: response.headers.get("location") ?? "" };
  },
  "three chunks": (bytes, wanted) => chunked(bytes, wanted, { last: "PATCH", disordered: false }),
  "three chunks, the last with the PUT": (bytes, wanted) =>
    chunked(bytes, wanted, { last: "PUT", disordered: false }),
  "chunks with one out of order between": (bytes, wanted) =>
    chunked(bytes, wanted, { last: "PUT", disordered: true }),
};

async function chunked(
  bytes: Uint8Array,
  wanted: string,
  how: { last: "PATCH" | "PUT"; disordered: boolean },
) {
  const size = Math.ceil(bytes.length / 3);
  let { location } = await begin();
  for (let start = 0; start < bytes.length; start += size) {
    const piece = bytes.subarray(start, start + size);
    if (how.disordered) {
      expect((await chunk("PATCH", location, piece, start + 1)).status).toBe(416);
      const status = await registry.request("GET", location);
      expect([status.status, status.headers.get("location")]).toEqual([204, expect.any(String)]);
      if (start > 0) expect(status.headers.get("range")).toBe(`0-${start - 1}`);
    }
    if (how.last === "PUT" && start + size >= bytes.length)
      return await chunk("PUT", withDigest(location, wanted), piece, start);
    const sent = await chunk("PATCH", location, piece, start);
    expect([sent.status, sent.range]).toEqual([202, `0-${start + piece.length - 1}`]);
    location = sent.location;
  }
  const response = await registry.request("PUT", withDigest(location, wanted), { headers: octets });
  return { status: response.status, location: response.headers.get("location") ?? "" };
}

/** HEAD and GET tell the same: its length, its digest, its bytes. */
async function isThere(path: string, bytes: Bytes, wanted: string, type?: string): Promise<void> {
  for (const method of ["HEAD", "GET"]) {
    const response = await registry.request(method, path, {
      headers: { Accept: `${ociIndex}, ${ociManifest}` },
    });
    expect([method, path, response.status]).toEqual([method, path, 200]);
    expect(response.headers.get("content-length")).toBe(String(Buffer.byteLength(bytes)));
    expect(response.headers.get("docker-content-digest")).toBe(wanted);
    if (type !== undefined) expect(response.headers.get("content-type")).toBe(type);
    const body = Buffer.from(await response.arrayBuffer());
    expect(body.equals(method === "HEAD" ? Buffer.alloc(0) : Buffer.from(bytes as string))).toBe(true);
  }
}

async function isGone(path: string): Promise<void> {
  for (const method of ["HEAD", "GET"]) expect((await registry.request(method, path)).status).toBe(404);
}

async function remove(path: string): Promise<void> {
  expect([path, (await registry.request("DELETE", path)).status]).toEqual([path, 202]);
  await isGone(path);
}

for (const algorithm of ["sha256", "sha512"] as const) {
  describe(`blobs by ${algorithm}`, () => {
    for (const [way, push] of Object.entries(pushes)) {
      test(`${way}: what was pushed is at the location that is told`, async () => {
        const bytes = randomBytes(3 * 1024 - 5);
        const wanted = digest(bytes, algorithm);
        await isGone(at(`blobs/${wanted}`));
        const pushed = await push(bytes, wanted);
        expect(pushed.status).toBe(201);
        await isThere(pushed.location, bytes, wanted);
        await isThere(at(`blobs/${wanted}`), bytes, wanted);
        await remove(at(`blobs/${wanted}`));
      });

      test(`${way}: bytes of another digest are refused, and nothing is kept`, async () => {
        const bytes = randomBytes(3 * 1024 - 5);
        const wanted = digest(randomBytes(9), algorithm);
        expect((await push(bytes, wanted)).status).toBe(400);
        await isGone(at(`blobs/${wanted}`));
        await isGone(at(`blobs/${digest(bytes, algorithm)}`));
      });
    }

    test("the empty blob and the empty document", async () => {
      for (const bytes of ["", "{}"]) {
        const wanted = digest(bytes, algorithm);
        for (const [way, push] of Object.entries(pushes)) {
          if (bytes === "" && way.includes("chunks")) continue;
          expect([way, (await push(Buffer.from(bytes), wanted)).status]).toEqual([way, 201]);
        }
        await isThere(at(`blobs/${wanted}`), bytes, wanted);
        await remove(at(`blobs/${wanted}`));
      }
    });

    test("a mount tells the blob's new place, or begins an upload when there is nothing to mount", async () => {
      const bytes = randomBytes(512);
      const wanted = digest(bytes, algorithm);
      for (const from of [`&from=${other}`, ""]) {
        const missing = await begin(`?mount=${wanted}${from}`);
        expect(missing.status).toBe(202);
        expect((await registry.request("DELETE", missing.location)).status).toBe(204);
      }
      const source = await registry.request("POST", at(`blobs/uploads/?digest=${wanted}`, other), {
        body: bytes,
        headers: octets,
      });
      expect(source.status).toBe(201);
      for (const from of [`&from=${other}`, ""]) {
        expect(await begin(`?mount=${wanted}${from}`)).toEqual({
          status: 201,
          location: at(`blobs/${wanted}`),
        });
        await isThere(at(`blobs/${wanted}`), bytes, wanted);
        await remove(at(`blobs/${wanted}`));
      }
      await isThere(at(`blobs/${wanted}`, other), bytes, wanted);
      await remove(at(`blobs/${wanted}`, other));
    });

    test("ranges: inside, open, from the end, past the end, backwards and outside", async () => {
      const bytes = randomBytes(2048);
      const wanted = digest(bytes, algorithm);
      await pushes["one POST"]?.(bytes, wanted);
      const table: readonly [range: string, start: number, end: number][] = [
        ["500-1499", 500, 1500],
        ["500-", 500, 2048],
        ["-500", 1548, 2048],
        ["2000-5000", 2000, 2048],
      ];
      for (const [range, start, end] of table) {
        const got = await registry.request("GET", at(`blobs/${wanted}`), {
          headers: { Range: `bytes=${range}` },
        });
        expect([got.status, got.headers.get("content-range"), got.headers.get("content-length")]).toEqual([
          206,
          `bytes ${start}-${end - 1}/2048`,
          String(end - start),
        ]);
        expect(Buffer.from(await got.arrayBuffer()).equals(bytes.subarray(start, end))).toBe(true);
      }
      for (const range of ["500-0", "5000-10000"]) {
        const got = await registry.request("GET", at(`blobs/${wanted}`), {
          headers: { Range: `bytes=${range}` },
        });
        expect(got.status).toBe(416);
      }
    });

    test("an upload that is given up is gone", async () => {
      const { location } = await begin();
      expect((await registry.request("DELETE", location)).status).toBe(204);
      expect((await registry.request("GET", location)).status).toBe(404);
    });
  });
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [more: string]: unknown;
}
interface Document {
  readonly text: string;
  readonly type: string;
  readonly digest: string;
}

/** What one kind of content is made of, in the order in which it is pushed. */
class Content {
  readonly blobs = new Map<string, Bytes>();
  readonly documents: Document[] = [];
  readonly #algorithm: Algorithm;
  constructor(algorithm: Algorithm = "sha256") {
    this.#algorithm = algorithm;
  }
  blob(bytes: Bytes, mediaType: string, more: Record<string, unknown> = {}): Descriptor {
    const wanted = digest(bytes, this.#algorithm);
    this.blobs.set(wanted, bytes);
    return { mediaType, digest: wanted, size: Buffer.byteLength(bytes), ...more };
  }
  layer(more: Record<string, unknown> = {}): Descriptor {
    return this.blob(randomBytes(256), "application/vnd.oci.image.layer.v1.tar+gzip", more);
  }
  config(more: Record<string, unknown> = {}): Descriptor {
    const text = JSON.stringify({ architecture: "amd64", os: "linux", id: randomBytes(8).toString("hex") });
    return this.blob(text, "application/vnd.oci.image.config.v1+json", more);
  }
  document(type: string, members: Record<string, unknown>): Descriptor {
    const text = JSON.stringify({ schemaVersion: 2, mediaType: type, ...members });
    const wanted = digest(text, this.#algorithm);
    this.documents.push({ text, type, digest: wanted });
    return { mediaType: type, digest: wanted, size: Buffer.byteLength(text) };
  }
  image(more: Record<string, unknown> = {}): Descriptor {
    return this.document(ociManifest, {
      config: this.config(),
      layers: [this.layer(), this.layer()],
      ...more,
    });
  }
}

const empty = (content: Content) => content.blob("{}", "application/vnd.oci.empty.v1+json");
const absent: Descriptor = { mediaType: ociManifest, digest: digest(randomBytes(16)), size: 123 };
const artifactType = "application/vnd.example.conformance";
/** For each kind what fills it, and the referrers that it has then: subject -> type of artifact -> how many. */
const kinds: Record<string, (content: Content) => undefined | Record<string, Record<string, number>>> = {
  image: (content) => void content.image(),
  "image of plain tars": (content) =>
    void content.image({ layers: [content.blob(randomBytes(99), "application/vnd.oci.image.layer.v1.tar")] }),
  "image with 3.9 MB of annotations": (content) =>
    void content.image({
      annotations: Object.fromEntries(
        Array.from({ length: 390 }, (_, index) => [`org.example.${index}`, "A".repeat(10_000)]),
      ),
    }),
  index: (content) => void content.document(ociIndex, { manifests: [content.image(), content.image()] }),
  "index of an index": (content) => {
    const inner = content.document(ociIndex, { manifests: [content.image()] });
    content.document(ociIndex, { manifests: [inner, content.image()] });
    return undefined;
  },
  "index of nothing": (content) => void content.document(ociIndex, { manifests: [] }),
  "image without layers": (content) => void content.image({ layers: [] }),
  "members that nobody knows": (content) =>
    void content.image({
      config: content.config({ "org.example.member": 1 }),
      layers: [content.layer({ more: [1, { two: 3 }] })],
      member: { of: "our own" },
    }),
  "descriptors that carry their bytes": (content) =>
    void content.image({
      config: { ...empty(content), data: Buffer.from("{}").toString("base64") },
      layers: [{ ...content.blob("data", "text/plain"), data: Buffer.from("data").toString("base64") }],
    }),
  "layers that may not be distributed": (content) =>
    void content.image({
      layers: [
        {
          mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
          digest: digest(randomBytes(16)),
          size: 123456,
          urls: ["https://store.example.com/blobs/layer"],
        },
        content.layer(),
      ],
    }),
  artifact: (content) =>
    void content.image({
      artifactType,
      config: empty(content),
      layers: [content.blob("file", "text/plain")],
    }),
  "artifact without files": (content) =>
    void content.image({ artifactType, config: empty(content), layers: [empty(content)] }),
  "index of artifacts": (content) =>
    void content.document(ociIndex, { artifactType, manifests: [content.image({ artifactType })] }),
  "artifacts about an image": (content) => {
    const subject = content.image();
    for (const n of ["1", "2"])
      content.image({ artifactType, config: empty(content), subject, annotations: { "org.example.n": n } });
    content.image({ config: content.blob("{ }", "application/vnd.example.config"), layers: [], subject });
    content.document(ociIndex, { artifactType, manifests: [], subject, annotations: { of: "index" } });
    return { [subject.digest]: { [artifactType]: 3, "application/vnd.example.config": 1 } };
  },
  "artifact about what is not here": (content) => {
    content.image({ artifactType, config: empty(content), subject: absent });
    return { [absent.digest]: { [artifactType]: 1 } };
  },
  "artifact with a page's worth of annotations": (content) => {
    const subject = content.image();
    for (const n of ["1", "2"])
      content.image({ artifactType, subject, annotations: { n, "org.example.long": n.repeat(2 ** 21) } });
    return { [subject.digest]: { [artifactType]: 2 } };
  },
};

interface Listed extends Descriptor {
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
}

/** All pages of a referrers list. */
async function referrers(subject: string, query: string): Promise<readonly Listed[]> {
  const found: Listed[] = [];
  for (let path: string | undefined = at(`referrers/${subject}${query}`); path; ) {
    const response: Response = await registry.request("GET", path);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, ociIndex]);
    expect(response.headers.get("oci-filters-applied")).toBe(query === "" ? null : "artifactType");
    const index = (await response.json()) as { schemaVersion: number; manifests: Listed[] };
    expect(index.schemaVersion).toBe(2);
    found.push(...index.manifests);
    path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return found;
}

async function put(document: Document, reference: string): Promise<Response> {
  return await registry.request("PUT", at(`manifests/${reference}`), {
    body: document.text,
    headers: { "Content-Type": document.type },
  });
}

async function tags(query = ""): Promise<readonly string[]> {
  const response = await registry.request("GET", at(`tags/list${query}`));
  expect(response.status).toBe(200);
  return ((await response.json()) as { tags: string[] }).tags;
}

for (const [kind, fill] of Object.entries(kinds)) {
  test(`${kind}: pushed by digest and tag, listed, pulled, deleted`, async () => {
    await tell(kind, fill, new Content());
  });
}
test("image: all of it by sha512", async () => await tell("sha512", kinds["image"], new Content("sha512")));

async function tell(kind: string, fill: (typeof kinds)[string] | undefined, content: Content): Promise<void> {
  const about = fill?.(content) ?? {};
  const tag = `t-${kind.replaceAll(/[^a-z0-9]+/gi, "-")}`;
  for (const [wanted, bytes] of content.blobs)
    expect((await pushes["POST and PUT"]?.(Buffer.from(bytes as string), wanted))?.status).toBe(201);
  for (const document of content.documents) {
    const response = await put(document, document.digest);
    expect([response.status, response.headers.get("docker-content-digest")]).toEqual([201, document.digest]);
    const { subject } = JSON.parse(document.text) as { subject?: Descriptor };
    expect(response.headers.get("oci-subject")).toBe(subject?.digest ?? null);
    await isThere(response.headers.get("location") ?? "", document.text, document.digest, document.type);
  }
  const top = content.documents.at(-1);
  if (!top) throw new Error(`${kind} has no document`);
  const byTag = await put(top, `${tag}-alone`);
  expect([byTag.status, byTag.headers.get("docker-content-digest")]).toEqual([201, digest(top.text)]);
  await isThere(byTag.headers.get("location") ?? "", top.text, digest(top.text), top.type);
  await remove(at(`manifests/${digest(top.text)}`));
  if (top.digest === digest(top.text)) expect((await put(top, top.digest)).status).toBe(201);
  // By tag the digest is sha256; a document of another is pushed by it, and tagged at once.
  const named = await registry.request("PUT", at(`manifests/${top.digest}?tag=${tag}`), {
    body: top.text,
    headers: { "Content-Type": top.type },
  });
  expect([named.status, named.headers.get("oci-tag")]).toEqual([201, tag]);
  expect(await tags()).toContain(tag);
  expect(await tags(`?n=1&last=${tag.slice(0, -1)}`)).toEqual([tag]);
  expect(await tags(`?last=${tag}`)).not.toContain(tag);
  await isThere(at(`manifests/${tag}`), top.text, top.digest, top.type);
  for (const [wanted, bytes] of content.blobs) await isThere(at(`blobs/${wanted}`), bytes, wanted);
  for (const [subject, types] of Object.entries(about)) {
    const all = await referrers(subject, "");
    expect(all).toHaveLength(Object.values(types).reduce((sum, each) => sum + each, 0));
    for (const { digest: of, mediaType, size, annotations } of all) {
      const document = content.documents.find((each) => each.digest === of);
      expect([mediaType, size]).toEqual([document?.type ?? "", Buffer.byteLength(document?.text ?? "")]);
      const own = JSON.parse(document?.text ?? "{}") as Listed;
      expect(Bun.deepEquals(annotations, own.annotations)).toBe(true);
    }
    for (const [type, count] of Object.entries(types)) {
      const filtered = await referrers(subject, `?artifactType=${encodeURIComponent(type)}`);
      expect(filtered.map((each) => each.artifactType)).toEqual(new Array(count).fill(type));
    }
  }
  await remove(at(`manifests/${tag}`));
  expect(await tags()).not.toContain(tag);
  for (const document of content.documents.toReversed()) await remove(at(`manifests/${document.digest}`));
  for (const subject of Object.keys(about)) expect(await referrers(subject, "")).toEqual([]);
  for (const wanted of content.blobs.keys()) await remove(at(`blobs/${wanted}`));
}

test("a document under a digest that is not its own, or is none, is refused", async () => {
  const content = new Content();
  content.image();
  for (const [wanted, bytes] of content.blobs)
    await pushes["one POST"]?.(Buffer.from(bytes as string), wanted);
  const document = content.documents[0];
  if (!document) throw new Error("no document");
  expect((await put({ ...document, text: `${document.text}  ` }, document.digest)).status).toBe(400);
  expect((await put(document, "sha256:baddigeststring")).status).toBe(400);
  expect((await registry.request("GET", at("manifests/sha256:baddigeststring"))).status).toBe(400);
  await isGone(at(`manifests/${document.digest}`));
});

test("what was never pushed is 404, by tag, by digest and by what cannot be a tag; a new repository has no tags", async () => {
  for (const reference of ["missing-tag", digest("never pushed"), ".INVALID_MANIFEST_NAME"])
    await isGone(at(`manifests/${reference}`));
  const list = await registry.request("GET", "/v2/conformance/never/tags/list");
  expect(list.status).toBe(404);
  expect(await referrers(digest("never pushed"), "")).toEqual([]);
});
