import { expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { CompressionError, decompress } from "../../../src/base/lib/compression/compression.ts";
import { type TarEntry, TarError } from "../../../src/base/lib/tar/entry.ts";
import { TarParser } from "../../../src/base/lib/tar/parser.ts";
import { tarHeader } from "../../../src/base/lib/tar/writer.ts";
import { randomNumbers } from "../../../src/base/lib/testdata/random-numbers.ts";
import {
  familiarString,
  parseDigest,
  parseReference,
  withDefaultTag,
} from "../../../src/base/spec/docker/reference.ts";
import { parseImageDocument } from "../../../src/base/spec/oci/parse.ts";
import { parseImageConfig } from "../../../src/base/spec/oci/parse-config.ts";
import { parsePlatform } from "../../../src/base/spec/oci/platform.ts";
import { parseChallenges } from "../../../src/core/distribution/auth/challenge.ts";
import { nextPage } from "../../../src/core/distribution/tags.ts";
import { parseDockerManifest } from "../../../src/core/image/archive/docker-manifest.ts";
import { layerComponents } from "../../../src/core/snapshot/apply/layer-path.ts";
import { parsePushedManifest } from "../../../src/registry/manifest-document.ts";
import { parseManifestReference, parseRepositoryName } from "../../../src/registry/names.ts";
import { parseRange } from "../../../src/registry/routes/range.ts";
import { SpecError } from "../../../src/registry/spec-error.ts";
import { fuzz } from "../../harness/fuzz.ts";
import {
  base256,
  file,
  gnuLong,
  gnuSparse,
  hardlink,
  member,
  pax,
  symlink,
  tarEnd,
} from "../../harness/raw-tar.ts";

/** Everything that images, archives and registries say is data of strangers. */
const hex = "a".repeat(64);

/** Reads an archive in pieces of `chunk` bytes, and checks what must hold of every member. */
function members(archive: Uint8Array, chunk: number): readonly string[] {
  const seen: string[] = [];
  let open: TarEntry | undefined;
  let got = 0;
  const parser = new TarParser({
    entry(entry) {
      expect(open).toBeUndefined();
      open = entry;
      got = 0;
      expect(Number.isSafeInteger(entry.size) && entry.size >= 0).toBe(true);
      expect(entry.uid >= 0 && entry.uid < 2 ** 32 - 1 && entry.gid >= 0).toBe(true);
      expect(entry.path.includes("\0")).toBe(false);
      seen.push(`${entry.kind} ${entry.path} ${entry.linkPath} ${entry.size} ${entry.mode} ${entry.mtime}`);
    },
    data(bytes, offset) {
      expect(offset + bytes.length).toBeLessThanOrEqual(open?.size ?? 0);
      got += bytes.length;
    },
    end() {
      if (!open?.sparse) expect(got).toBe(open?.size ?? -1);
      open = undefined;
    },
  });
  for (let at = 0; at < archive.length; at += chunk) parser.push(archive.subarray(at, at + chunk));
  parser.finish();
  return seen;
}

const outcome = (work: () => unknown): string => {
  try {
    return JSON.stringify(work());
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    return "refused";
  }
};

const sparse = pax({
  "GNU.sparse.major": "1",
  "GNU.sparse.minor": "0",
  "GNU.sparse.realsize": "9",
  "GNU.sparse.name": "s",
});
fuzz({
  name: "tar archives, read whole and in pieces alike",
  seeds: [
    Buffer.concat([
      file("a/b", "content"),
      symlink("l", "a"),
      hardlink("h", "a/b"),
      member({ name: "d/", type: "5" }),
      tarEnd,
    ]),
    Buffer.concat([
      pax({ path: "long/name", mtime: "1.5", size: "3", "SCHILY.xattr.user.a": "b" }),
      file("x", "abc"),
      tarEnd,
    ]),
    Buffer.concat([gnuLong("L", "n".repeat(200)), gnuLong("K", "k"), symlink("x", "y"), tarEnd]),
    Buffer.concat([
      gnuSparse(
        "s",
        [
          [0n, 1n],
          [5n, 1n],
        ],
        9n,
        "yz",
      ),
      sparse,
      file("s", `1\n0\n1\n${"\0".repeat(506)}y`),
      tarEnd,
    ]),
    Buffer.concat([
      member({ name: "big", size: base256(5n, 12), data: "12345", uid: base256(7n, 8) }),
      member({ name: "c", type: "3", major: 1 }),
    ]),
  ],
  words: [
    "GNU.sparse.map",
    "GNU.sparse.size=",
    "path=",
    "size=",
    "12 path=abc\n",
    "ustar\0",
    "ustar  \0",
    "00000000010\0",
    "x",
    "L",
    "S",
  ],
  refusals: [TarError],
  rounds: 1500,
  run: (input) => expect(outcome(() => members(input, 100))).toBe(outcome(() => members(input, 1 << 20))),
});

test("what the tar writer writes, its reader reads", () => {
  const random = randomNumbers(3);
  const below = (limit: number) => Math.floor(random() * limit);
  const letters = ["a", "b", "/", "ü", "\u{1f980}", " ", "\n", "\udc80", ".", "-"];
  const text = (length: number) =>
    Array.from({ length: below(length) }, () => letters[below(letters.length)]).join("");
  for (let round = 0; round < 1000; round++) {
    const kind = (["file", "link", "symlink", "char", "fifo"] as const)[below(5)] ?? "file";
    const entry = {
      path: `p${text(300)}x`,
      kind,
      size: kind === "file" ? below(3) * 2 ** below(40) : 0,
      mode: below(0o10000),
      uid: below(2 ** 31),
      gid: below(2 ** 31),
      userName: text(60),
      groupName: text(10),
      mtime: BigInt(below(2 ** 40) - 2 ** 39) * BigInt(1 + below(1_000_000)),
      linkPath: kind === "link" || kind === "symlink" ? `t${text(200)}` : "",
      deviceMajor: kind === "char" ? below(4096) : 0,
      deviceMinor: kind === "char" ? below(2 ** 20) : 0,
    };
    let read: TarEntry | undefined;
    const parser = new TarParser({
      entry: (each) => {
        read = each;
      },
      data: () => undefined,
      end: () => undefined,
    });
    parser.push(tarHeader(entry));
    expect(read).toMatchObject(entry);
  }
});

const manifest = {
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: `sha256:${hex}`,
    size: 2,
    urls: ["x"],
    annotations: { a: "b" },
  },
  layers: [
    {
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: `sha512:${hex}${hex}`,
      size: 5,
      platform: { os: "linux", architecture: "arm" },
    },
  ],
  subject: { digest: `sha256:${hex}` },
  annotations: { x: "y" },
};
const index = { schemaVersion: 2, manifests: [manifest.config, manifest.layers[0]] };
const documentWords = [
  "manifests",
  "layers",
  "config",
  "mediaType",
  '"digest"',
  "sha256:",
  "schemaVersion",
  '{"a":',
  "[[[[",
  "1.5",
  "-1",
];
/** No digest passes that could be more than a name. */
const strict = (text: string) =>
  expect(text).toMatch(/^(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/);

fuzz({
  name: "manifests and indexes",
  seeds: [JSON.stringify(manifest), JSON.stringify(index)],
  words: documentWords,
  run: (input) => {
    const document = parseImageDocument(input, input.length % 2 === 0 ? manifest.mediaType : undefined);
    if (document.kind === "manifest")
      for (const { digest } of [document.manifest.config, ...document.manifest.layers]) strict(digest);
    if (document.kind === "index") for (const { digest } of document.index.manifests) strict(digest);
  },
});
fuzz({
  name: "manifests pushed to the registry",
  seeds: [JSON.stringify(manifest), JSON.stringify(index)],
  words: documentWords,
  refusals: [SpecError],
  run: (input) => {
    const { needs } = parsePushedManifest(input, undefined);
    for (const digest of [...needs.blobs, ...needs.children]) strict(digest);
  },
});
fuzz({
  name: "image configurations",
  seeds: [
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [`sha256:${hex}`] },
      history: [{ created_by: "x", empty_layer: true }],
      config: {
        Env: ["A=b"],
        Cmd: "x",
        Volumes: { "/v": {} },
        ExposedPorts: { "80/tcp": {} },
        Labels: { a: "b" },
        Healthcheck: { Test: ["NONE"], Interval: 1 },
      },
    }),
  ],
  words: ["rootfs", "diff_ids", "Labels", "Env"],
  run: (input) => parseImageConfig(input).rootfs.diff_ids.forEach(strict),
});
fuzz({
  name: "manifest.json of an archive",
  seeds: [JSON.stringify([{ Config: "c.json", RepoTags: ["a:1"], Layers: ["l/layer.tar"] }])],
  words: ["Config", "Layers", "RepoTags"],
  run: (input) => parseDockerManifest(input),
});
fuzz({
  name: "references, which say of themselves what they were read from",
  seeds: [
    "busybox",
    "docker.io/library/a:1",
    `localhost:5000/a/b-c__d.e:tag@sha256:${hex}`,
    "[::1]:80/x",
    "Host.example/a",
  ],
  words: ["docker.io/", "library/", "@sha256:", "localhost"],
  run: (input) => {
    const reference = withDefaultTag(parseReference(input.toString()));
    expect(parseReference(familiarString(reference))).toEqual(reference);
    expect(reference.path).toMatch(/^[a-z0-9](?:[a-z0-9_-]|\.(?!\.)|\/(?![._/-]))*$/);
  },
});
fuzz({
  name: "digests",
  seeds: [`sha256:${hex}`, `sha512:${hex}${hex}`],
  words: ["sha256:", "../", "A"],
  run: (input) => strict(parseDigest(input.toString())),
});
fuzz({
  name: "platforms",
  seeds: ["linux/arm64/v8", "windows(10.0.1)/amd64", "arm"],
  run: (input) => parsePlatform(input.toString(), { os: "linux", architecture: "amd64" }),
});
fuzz({
  name: "names of the registry",
  seeds: ["a/b-c/d", "latest", `sha256:${hex}`],
  refusals: [SpecError],
  run: (input) => {
    const text = input.toString();
    parseManifestReference(text);
    expect(parseRepositoryName(text)).not.toMatch(/\.\.|\/\/|^\/|\/$/);
  },
});
fuzz({
  name: "ranges",
  seeds: ["bytes=0-1", "bytes=-5", "bytes=7-"],
  refusals: [],
  run: (input) => {
    const range = parseRange(input.toString("latin1"), 100);
    if (typeof range === "object")
      expect(range.start >= 0 && range.start < range.end && range.end <= 100).toBe(true);
  },
});
fuzz({
  name: "challenges of WWW-Authenticate",
  seeds: [
    'Bearer realm="https://a/token",service="x y",scope="repository:a:pull,push"',
    "Basic realm=x, Digest a=b",
    'Negotiate, Basic realm="\\"q\\""',
  ],
  words: ["Bearer ", "realm=", '="', '\\"'],
  refusals: [],
  run: (input) => {
    for (const { parameters } of parseChallenges(input.toString("latin1")))
      for (const value of Object.values(parameters)) expect(typeof value).toBe("string");
  },
});
fuzz({
  name: "pages that follow by Link, which never lead to another host",
  seeds: [
    '</v2/a/tags/list?n=1&last=b>; rel="next"',
    "<https://r.example/x>; rel=next",
    '<x>; title="a"; rel="next", <y>; rel=prev',
  ],
  words: ["<", ">", "rel=", "next", "//evil.example/", "https://evil.example@r.example/"],
  refusals: [],
  run: (input) => {
    const next = nextPage(input.toString("latin1"), "https://r.example/v2/a/tags/list");
    if (next !== undefined) expect(new URL(next).origin).toBe("https://r.example");
  },
});
fuzz({
  name: "names of a layer's members",
  seeds: ["./a/../b", "/etc/passwd", "a//b/.", "../x"],
  words: ["..", "/", "./"],
  run: (input) => {
    for (const part of layerComponents(input.toString("latin1"))) expect(part).not.toMatch(/^\.{0,2}$|\//);
  },
});

const plain = Buffer.from("content ".repeat(50));
const bzip2 = Buffer.from("QlpoOTFBWSZTWdhyL1AAAAHxgEAAQAAkAQAgACGYGYQYXckU4UJDYci9QA==", "base64");
const xz = Buffer.from(
  "/Td6WFoAAATm1rRGBMAKBiEBFgAAAAAAAAAAAOqSVB0BAAVjb250ZW50AAAAAABZtKNhrXo6kQABIgYAAAAAI6lsph+2830BAAAAAARZWg==",
  "base64",
);
fuzz({
  name: "compressed streams",
  seeds: [
    gzipSync(plain),
    Buffer.concat([gzipSync("a"), gzipSync("b")]),
    zstdCompressSync(plain),
    bzip2,
    xz,
    plain,
  ],
  refusals: [CompressionError],
  rounds: 250,
  run: async (input) => {
    let size = 0;
    const source = (async function* () {
      yield input;
    })();
    for await (const chunk of decompress(source)) {
      size += chunk.length;
      // Even of bombs no more than a bit at a time is held; there is no need to see their end here.
      if (size > 64 << 20) break;
    }
  },
});
