import { file, hardlink, symlink, tarEnd } from "../../harness/raw-tar.ts";
import { bytes, imageOf, sha256, types } from "./images.ts";

/** An image archive that attacks, or is only odd. */
export interface Archive {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  /** What the refusal says; taken when absent. */
  readonly refused?: RegExp;
}

const layer = Buffer.concat([file("hello", "world"), tarEnd]);
const { config } = imageOf([{ tar: layer, blob: layer }]);
const manifestJson = (more: object) =>
  file(
    "manifest.json",
    JSON.stringify([{ Config: "c.json", RepoTags: ["hostile:1"], Layers: ["l.tar"], ...more }]),
  );
const good = [file("c.json", config.toString()), bytes("l.tar", layer)];
const configOf = (more: object) => JSON.stringify({ ...(JSON.parse(config.toString()) as object), ...more });

/** docker save's format, of old and of now. */
function docker(): readonly Archive[] {
  const reference = (
    text: string,
    refused: RegExp = /invalid (?:reference|tag)|lowercase|repository name/,
  ): Archive => ({
    name: `a name that is ${JSON.stringify(text.slice(0, 40))}`,
    parts: [...good, manifestJson({ RepoTags: [text] })],
    refused,
  });
  const lacks = /the archive lacks/;
  return [
    {
      name: "a layer that is ../../../etc/passwd",
      parts: [...good, manifestJson({ Layers: ["../../../../etc/passwd"] })],
      refused: lacks,
    },
    {
      name: "a layer that is /etc/passwd",
      parts: [...good, manifestJson({ Layers: ["/etc/passwd"] })],
      refused: lacks,
    },
    {
      name: "a config that is ../../../etc/passwd",
      parts: [...good, manifestJson({ Config: "../../../../etc/passwd" })],
      refused: lacks,
    },
    {
      name: "a layer that is a link out",
      parts: [...good, symlink("evil.tar", "/etc/passwd"), manifestJson({ Layers: ["evil.tar"] })],
      refused: lacks,
    },
    {
      name: "a layer that is a relative link out",
      parts: [...good, symlink("evil.tar", "../../../../etc/passwd"), manifestJson({ Layers: ["evil.tar"] })],
      refused: lacks,
    },
    {
      name: "a layer that is a hard link out",
      parts: [...good, hardlink("evil.tar", "/etc/passwd"), manifestJson({ Layers: ["evil.tar"] })],
      refused: lacks,
    },
    {
      name: "a layer that is a directory",
      parts: [...good, file("d/", "", { type: "5" }), manifestJson({ Layers: ["d/"] })],
      refused: lacks,
    },
    {
      name: "links in a circle",
      parts: [...good, symlink("a", "b"), symlink("b", "a"), manifestJson({ Layers: ["a"] })],
      refused: lacks,
    },
    {
      name: "a link to a layer, as docker save once wrote",
      parts: [...good, symlink("x/l.tar", "../l.tar"), manifestJson({ Layers: ["x/l.tar"] })],
    },
    {
      name: "a hard link to a layer",
      parts: [...good, hardlink("x.tar", "l.tar"), manifestJson({ Layers: ["x.tar"] })],
    },
    {
      name: "names that begin with a slash or ./",
      parts: [file("/c.json", config.toString()), bytes("./l.tar", layer), manifestJson({})],
    },
    { name: "no config", parts: [bytes("l.tar", layer), manifestJson({})], refused: lacks },
    { name: "no Config", parts: [...good, manifestJson({ Config: 7 })], refused: /has no Config/ },
    {
      name: "a config of nine megabytes",
      parts: [
        file("c.json", configOf({ comment: "x".repeat(9 << 20) })),
        bytes("l.tar", layer),
        manifestJson({}),
      ],
      refused: /over the limit/,
    },
    {
      name: "a config that is no JSON",
      parts: [file("c.json", "{"), bytes("l.tar", layer), manifestJson({})],
      refused: /invalid image config/,
    },
    {
      name: "a config without rootfs",
      parts: [file("c.json", "{}"), bytes("l.tar", layer), manifestJson({})],
      refused: /no RootFS key/,
    },
    {
      name: "a config of another system",
      parts: [file("c.json", configOf({ os: "windows" })), bytes("l.tar", layer), manifestJson({})],
      refused: /cannot load windows image on linux/,
    },
    {
      name: "a diff_id that is a path",
      parts: [
        file("c.json", configOf({ rootfs: { type: "layers", diff_ids: ["sha256:../../x"] } })),
        bytes("l.tar", layer),
        manifestJson({}),
      ],
      refused: /invalid diff_id/,
    },
    {
      name: "a diff_id of another layer",
      parts: [
        file("c.json", configOf({ rootfs: { type: "layers", diff_ids: [sha256("other")] } })),
        bytes("l.tar", layer),
        manifestJson({}),
      ],
      refused: /layer verification failed/,
    },
    {
      name: "fewer layers than diff_ids",
      parts: [...good, manifestJson({ Layers: [] })],
      refused: /layers length mismatch/,
    },
    {
      name: "a hundred thousand layers",
      parts: [
        file("c.json", configOf({ rootfs: { type: "layers", diff_ids: Array(50_000).fill(sha256(layer)) } })),
        bytes("l.tar", layer),
        manifestJson({ Layers: Array(50_000).fill("l.tar") }),
      ],
      refused: /max depth exceeded/,
    },
    {
      name: "layers that are not strings",
      parts: [...good, manifestJson({ Layers: [{}] })],
      refused: /not a list of strings/,
    },
    {
      name: "a manifest.json that is an object",
      parts: [...good, file("manifest.json", "{}")],
      refused: /not a list/,
    },
    {
      name: "a manifest.json of nothing",
      parts: [...good, file("manifest.json", "[]")],
      refused: /lists no image/,
    },
    {
      name: "a manifest.json of null",
      parts: [...good, file("manifest.json", "[null]")],
      refused: /has no Config/,
    },
    {
      name: "a manifest.json twice: the last one counts",
      parts: [...good, manifestJson({ Layers: ["../x"] }), manifestJson({})],
    },
    {
      name: "repositories and nothing else",
      parts: [file("repositories", '{"evil":{"latest":"../../x"}}'), bytes("x/layer.tar", layer)],
      refused: /unrecognized image format/,
    },
    {
      name: "members that JavaScript objects have",
      parts: [...good, file("__proto__", "x"), file("constructor/prototype", "x"), manifestJson({})],
    },
    {
      name: "a name of 5000 characters",
      parts: [
        ...good,
        file("", "x", {
          patch: [
            [0, "n".repeat(99)],
            [345, "p".repeat(154)],
          ],
        }),
        manifestJson({}),
      ],
    },
    {
      name: "a sparse file for a layer",
      parts: [
        ...good,
        file("l.tar", "", { type: "S", magic: "ustar  \0", patch: [[483, "00000010000\0"]] }),
        manifestJson({}),
      ],
      refused: /sparse/,
    },
    reference("../../etc:1"),
    reference("UPPER:1"),
    reference("a b:1"),
    reference("x:1\n"),
    reference(""),
    reference(":1"),
    reference("x"),
    reference("x:"),
    reference(`x:${"t".repeat(200)}`),
    reference(`${"n/".repeat(200)}n:1`),
    reference(`x@${sha256("")}`),
    reference("x:1@sha256:zz"),
    reference("registry.example:99999999/../x:1"),
    reference("x\0y:1"),
    reference("-rf:1"),
    reference(sha256("").slice(7)),
  ];
}

const blob = (content: Uint8Array | string) =>
  bytes(`blobs/sha256/${sha256(Buffer.from(content)).slice(7)}`, Buffer.from(content));
const described = (mediaType: string, content: Uint8Array | string) => ({
  mediaType,
  digest: sha256(Buffer.from(content)),
  size: Buffer.byteLength(content),
});
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: types.manifest,
  config: described(types.config, config),
  layers: [described(types.layer, layer)],
});
const layout = [file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'), blob(config), blob(layer)];
const named = { annotations: { "org.opencontainers.image.ref.name": "hostile:1" } };
const index = (...manifests: readonly object[]) =>
  file("index.json", JSON.stringify({ schemaVersion: 2, manifests }));
const nested = (...manifests: readonly object[]) =>
  JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests });

/** The OCI layout. */
function oci(): readonly Archive[] {
  const image = { ...described(types.manifest, manifest), ...named };
  const digest = (text: string): Archive => ({
    name: `a digest that is ${JSON.stringify(text.slice(0, 40))}`,
    parts: [...layout, index({ ...image, digest: text })],
    refused: /invalid digest/,
  });
  const lying = (name: string, document: object, mediaType: string, refused: RegExp): Archive => {
    const text = JSON.stringify(document);
    return {
      name,
      parts: [...layout, blob(text), index({ ...described(mediaType, text), ...named })],
      refused,
    };
  };
  const whole = JSON.parse(manifest) as Record<string, unknown>;
  let deep = nested(image);
  const levels = [blob(manifest), blob(deep)];
  for (let i = 0; i < 10; i++) {
    deep = nested(described(types.index, deep));
    levels.push(blob(deep));
  }
  const bottom = nested(...Array(5000).fill(described(types.manifest, manifest)));
  const middle = nested(...Array(5000).fill(described(types.index, bottom)));
  const top = nested(...Array(5000).fill(described(types.index, middle)));
  const hex = sha256(manifest).slice(7);
  const ambiguous = /ambiguous manifest/;
  return [
    digest("sha256:../../../../etc/passwd"),
    digest(sha256("").toUpperCase()),
    digest(sha256("").replace(/[a-f]/g, (c) => c.toUpperCase())),
    digest("sha256:abc"),
    digest(`${sha256("")}0`),
    digest(`md5:${"0".repeat(32)}`),
    digest(""),
    digest("sha256:"),
    digest(`${sha256("")}\n`),
    digest(`sha512:${"0".repeat(64)}`),
    {
      name: "a descriptor without a digest",
      parts: [...layout, index({ mediaType: types.manifest, size: 1 })],
      refused: /digest is missing/,
    },
    {
      name: "a descriptor that is a text",
      parts: [...layout, file("index.json", '{"schemaVersion":2,"manifests":["x"]}')],
      refused: /not an object/,
    },
    {
      name: "a blob that is a link out",
      parts: [...layout, symlink(`blobs/sha256/${hex}`, "/etc/passwd"), index(image)],
      refused: /lacks blob/,
    },
    {
      name: "a blob that is a link to another",
      parts: [...layout, symlink(`blobs/sha256/${hex}`, `${sha256(config).slice(7)}`), index(image)],
      refused: /hashes to/,
    },
    {
      name: "a blob with other bytes than its name",
      parts: [...layout, bytes(`blobs/sha256/${hex}`, Buffer.from("{}")), index(image)],
      refused: /hashes to/,
    },
    {
      name: "a blob of another size than told",
      parts: [...layout, blob(manifest), index({ ...image, size: 7 })],
      refused: /bytes, not 7/,
    },
    {
      name: "a size below zero",
      parts: [...layout, blob(manifest), index({ ...image, size: -1 })],
      refused: /is not a size/,
    },
    {
      name: "a size with a fraction",
      parts: [...layout, blob(manifest), index({ ...image, size: 1.5 })],
      refused: /is not a size/,
    },
    {
      name: "an index that leads back to itself by a link",
      parts: [
        ...layout,
        symlink(`blobs/sha256/${hex}`, "../../index.json"),
        index({ ...image, mediaType: types.index }),
      ],
      refused: /hashes to/,
    },
    {
      name: "indexes in indexes, ten deep",
      parts: [...layout, ...levels, index({ ...described(types.index, deep), ...named })],
      refused: /holds no platform/,
    },
    {
      name: "indexes that unfold to 125 billion manifests",
      parts: [
        ...layout,
        blob(manifest),
        blob(bottom),
        blob(middle),
        blob(top),
        index({ ...described(types.index, top), ...named }),
      ],
    },
    {
      name: "an index.json of five megabytes",
      parts: [...layout, file("index.json", `${" ".repeat(5 << 20)}{}`)],
      refused: /over the limit/,
    },
    {
      name: "an index.json with a million members",
      parts: [...layout, file("index.json", `{"schemaVersion":2,"manifests":[${"{},".repeat(300_000)}{}]}`)],
      refused: /more than \d+ members/,
    },
    {
      name: "an index.json that is an image too",
      parts: [...layout, file("index.json", JSON.stringify({ ...whole, manifests: [] }))],
      refused: ambiguous,
    },
    lying("an image that is an index too", { ...whole, manifests: [image] }, types.manifest, ambiguous),
    lying(
      "an index that has layers",
      { schemaVersion: 2, mediaType: types.index, manifests: [], layers: [] },
      types.index,
      ambiguous,
    ),
    lying("an image that is announced as an index", whole, types.index, /mediaType in manifest should be/),
    lying(
      "an index that is announced as an image",
      { schemaVersion: 2, mediaType: types.index, manifests: [image] },
      types.manifest,
      /mediaType in manifest should be/,
    ),
    lying(
      "an index of no type announced as an image",
      { schemaVersion: 2, manifests: [image] },
      types.manifest,
      /does not fit/,
    ),
    lying(
      "an image of no type announced as an index",
      { ...whole, mediaType: undefined },
      types.index,
      ambiguous,
    ),
    lying("a schema of version 1", { schemaVersion: 1, fsLayers: [] }, types.manifest, /schema version 1/),
    lying("a schema of no version", { ...whole, schemaVersion: undefined }, types.manifest, /schema version/),
    lying(
      "a config that is a path",
      { ...whole, config: { ...described(types.config, config), digest: "sha256:../x" } },
      types.manifest,
      /invalid digest/,
    ),
    {
      name: "a name that leads out",
      parts: [
        ...layout,
        blob(manifest),
        index({ ...image, annotations: { "org.opencontainers.image.ref.name": "../../x:1" } }),
      ],
      refused: /invalid reference/,
    },
    { name: "the layout as it should be", parts: [...layout, blob(manifest), index(image)] },
  ];
}

export function hostileArchives(): readonly Archive[] {
  return [...docker(), ...oci()];
}
