import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestDaemon } from "../harness/daemon.ts";
import { file, tarEnd } from "../harness/raw-tar.ts";
import { TugRegistry } from "../harness/tug-registry.ts";
import { stored, unchanged } from "./hostile/guard.ts";
import { FakeRegistry, imageOf, sha256, types } from "./hostile/images.ts";

/** CVE-2021-41190, CVE-2024-3727: a document is one thing, is what it was announced as, and is named by a digest that is one. */
let daemon: TestDaemon;
let registry: FakeRegistry;
beforeAll(async () => {
  registry = new FakeRegistry();
  daemon = await TestDaemon.start({ busybox: false });
}, 120_000);
afterAll(async () => {
  registry[Symbol.dispose]();
  await daemon.close();
});

const layer = Buffer.concat([file("hello", "world"), tarEnd]);
const { config } = imageOf([{ tar: layer, blob: layer }]);
const described = (mediaType: string, content: Uint8Array | string) => ({
  mediaType,
  digest: sha256(Buffer.from(content)),
  size: Buffer.byteLength(content),
});
const manifest = {
  schemaVersion: 2,
  mediaType: types.manifest,
  config: described(types.config, config),
  layers: [described(types.layer, layer)],
};
const text = JSON.stringify(manifest);
const entry = described(types.manifest, text);

interface Lie {
  readonly name: string;
  readonly document: string;
  readonly type: string;
  readonly headers?: Record<string, string>;
  readonly refused: RegExp;
}

const with_ = (more: object) => JSON.stringify({ ...manifest, ...more });
const digestOf = (digest: string): Lie => ({
  name: `a layer whose digest is ${JSON.stringify(digest.slice(0, 30))}`,
  document: with_({ layers: [{ ...described(types.layer, layer), digest }] }),
  type: types.manifest,
  refused: /invalid digest/,
});
const lies: readonly Lie[] = [
  {
    name: "an image that is an index too",
    document: with_({ manifests: [entry] }),
    type: types.manifest,
    refused: /ambiguous manifest/,
  },
  {
    name: "an image that is an index too, as an index",
    document: with_({ mediaType: types.index, manifests: [entry] }),
    type: types.index,
    refused: /ambiguous manifest/,
  },
  {
    name: "an index that has layers",
    document: JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [entry], layers: [] }),
    type: types.index,
    refused: /ambiguous manifest/,
  },
  {
    name: "an image sent as an index",
    document: text,
    type: types.index,
    refused: /mediaType in manifest should be/,
  },
  {
    name: "an image sent as the other kind of image",
    document: text,
    type: "application/vnd.docker.distribution.manifest.v2+json",
    refused: /mediaType in manifest should be/,
  },
  {
    name: "an index sent as an image",
    document: JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [entry] }),
    type: types.manifest,
    refused: /mediaType in manifest should be/,
  },
  {
    name: "an index of no type sent as an image",
    document: JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
    type: types.manifest,
    refused: /does not fit/,
  },
  { name: "a web page", document: "<html>", type: "text/html", refused: /invalid manifest|unrecognized/ },
  {
    name: "a digest header that is a path",
    document: text,
    type: types.manifest,
    headers: { "docker-content-digest": "sha256:../../x" },
    refused: /invalid Docker-Content-Digest/,
  },
  {
    name: "a digest header of something else",
    document: text,
    type: types.manifest,
    headers: { "docker-content-digest": sha256("other") },
    refused: /verification failed|404/,
  },
  {
    name: "a config of another size than told",
    document: with_({ config: { ...manifest.config, size: 3 } }),
    type: types.manifest,
    refused: /./,
  },
  {
    name: "a layer of another size than told",
    document: with_({ layers: [{ ...described(types.layer, layer), size: 3 }] }),
    type: types.manifest,
    refused: /./,
  },
  {
    name: "more layers than the config has",
    document: with_({ layers: [manifest.layers[0], manifest.layers[0]] }),
    type: types.manifest,
    refused: /don't match/,
  },
  {
    name: "an index whose entry is no manifest",
    document: JSON.stringify({
      schemaVersion: 2,
      mediaType: types.index,
      manifests: [{ ...entry, ...described(types.manifest, config) }],
    }),
    type: types.index,
    refused: /./,
  },
  digestOf("sha256:../../../../etc/passwd"),
  digestOf(sha256(layer).toUpperCase()),
  digestOf(`sha256:${sha256(layer).slice(7).toUpperCase()}`),
  digestOf("sha256:abc"),
  digestOf(`${sha256(layer)}/../x`),
  digestOf(`md5:${"0".repeat(32)}`),
  digestOf(`sha256:${"0".repeat(63)}%`),
  digestOf(""),
];

test("what a registry sends must be what it says, and no digest becomes a path or an address", async () => {
  registry.blob(config);
  registry.blob(layer);
  registry.manifest(sha256(text), text, { "content-type": types.manifest });
  const before = stored(daemon);
  const wrong: unknown[] = [];
  for (const [index, lie] of lies.entries()) {
    const headers = { "content-type": lie.type, ...lie.headers };
    registry.manifest(`t${index}`, lie.document, headers);
    registry.manifest(sha256(lie.document), lie.document, headers);
    const pulled = await daemon.tug(["pull", "-q", `${registry.address}/lies:t${index}`]);
    if (pulled.code === 0 || !lie.refused.test(pulled.stderr))
      wrong.push({ name: lie.name, said: pulled.stderr });
  }
  expect(wrong).toEqual([]);
  // Nothing was asked for that is no name of the distribution specification.
  const odd = registry.asked.filter(
    (each) => !/^(GET|HEAD) \/v2\/(lies\/(manifests|blobs)\/[\w:]+)?$/.test(each),
  );
  expect(odd).toEqual([]);
  // Documents and blobs that were what they said stay until the next collection, no more.
  expect((await daemon.api("POST", "/images/prune")).status).toBe(200);
  await unchanged(daemon, before, "them");
}, 120_000);

test("bytes of another digest than asked for are not taken, by tag or by digest", async () => {
  const other = with_({ annotations: { a: "b" } });
  registry.manifest(sha256(text), other, { "content-type": types.manifest });
  const byDigest = await daemon.tug(["pull", `${registry.address}/lies@${sha256(text)}`]);
  expect([byDigest.code, byDigest.stderr]).toEqual([1, expect.stringMatching(/verification failed/)]);
  registry.manifest(sha256(text), text, { "content-type": types.manifest });
  await daemon.ok(["pull", "-q", `${registry.address}/lies@${sha256(text)}`]);
  await daemon.ok(["rmi", "-f", `${registry.address}/lies@${sha256(text)}`]);
}, 120_000);

test("our registry takes no document that is two things, or not what it is sent as, and no bytes under another digest", async () => {
  await using own = await TugRegistry.start();
  const upload = (digest: string, body: Buffer | string) =>
    own.request("POST", `/v2/lies/blobs/uploads/?digest=${encodeURIComponent(digest)}`, {
      body: new Uint8Array(Buffer.from(body)),
      headers: { "content-type": "application/octet-stream" },
    });
  for (const blob of [config, layer]) expect((await upload(sha256(blob), blob)).status).toBe(201);
  const odd = [
    "sha256:../../x",
    sha256(layer).toUpperCase(),
    "sha256:abc",
    sha256("other"),
    `${sha256(layer)}0`,
  ];
  for (const digest of odd) expect([digest, (await upload(digest, layer)).status]).toEqual([digest, 400]);
  const put = async (name: string, type: string, body: string) => {
    const reply = await own.request("PUT", `/v2/lies/manifests/${name}`, {
      body,
      headers: { "content-type": type },
    });
    return [reply.status, await reply.text()] as const;
  };
  const wrong: unknown[] = [];
  for (const [index, { name, document, type, headers }] of lies.entries()) {
    // The ones that lie in their headers, or about blobs that the registry does not open.
    if (headers || /size|more layers|no manifest/.test(name)) continue;
    const [status, said] = await put(`t${index}`, type, document);
    if (status !== 400 || !/MANIFEST_INVALID/.test(said)) wrong.push({ name, status, said });
  }
  expect(wrong).toEqual([]);
  expect((await put("good", types.manifest, text))[0]).toBe(201);
  expect((await put(sha256(text), types.manifest, text))[0]).toBe(201);
  expect((await put(sha256("other"), types.manifest, text))[0]).toBe(400);
  expect((await put("sha256:..%2fx", types.manifest, text))[0]).toBe(404);
}, 120_000);
