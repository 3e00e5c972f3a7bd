import { describe, expect, test } from "bun:test";
import { isCode } from "../../lib/errors.ts";
import type { DiffId } from "../../lib/ids.ts";
import { chainId, chainIds } from "./chain.ts";
import { digestOf } from "./digest.ts";
import { mediaTypes } from "./media-types.ts";
import { manifestLimit, parseImageDocument, parseIndex, parseManifest } from "./parse.ts";
import { parseImageConfig } from "./parse-config.ts";

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const digest = digestOf("x");
const descriptor = { mediaType: mediaTypes.ociConfig, digest, size: 1 };
const manifest = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: descriptor,
  layers: [descriptor],
};
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [descriptor] };
const thrown = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe("manifests and indexes", () => {
  test("both kinds are told apart by their members", () => {
    expect(parseImageDocument(bytes(manifest), mediaTypes.ociManifest).kind).toBe("manifest");
    expect(parseImageDocument(bytes({ ...manifest, mediaType: undefined })).kind).toBe("manifest");
    expect(parseImageDocument(bytes({ ...index, mediaType: undefined })).kind).toBe("index");
    expect(parseManifest(bytes(manifest)).layers).toEqual([descriptor]);
    expect(parseIndex(bytes(index)).manifests).toEqual([descriptor]);
    expect(() => parseManifest(bytes(index))).toThrow("it is an index");
    expect(() => parseIndex(bytes(manifest))).toThrow("no manifests");
  });

  test("a document that is both is refused", () => {
    for (const extra of [{ layers: [] }, { config: descriptor }]) {
      expect(() => parseImageDocument(bytes({ ...index, ...extra }))).toThrow("ambiguous manifest");
    }
    expect(() => parseImageDocument(bytes({ ...index, mediaType: mediaTypes.ociManifest }))).toThrow(
      "does not fit",
    );
    expect(() => parseImageDocument(bytes({ ...manifest, mediaType: mediaTypes.ociIndex }))).toThrow();
  });

  test("mediaType must be the Content-Type", () => {
    expect(() => parseImageDocument(bytes(manifest), mediaTypes.dockerManifest)).toThrow(
      `mediaType in manifest should be '${mediaTypes.dockerManifest}' not '${mediaTypes.ociManifest}'`,
    );
    expect(parseImageDocument(bytes(manifest), "application/json").kind).toBe("manifest");
  });

  test("schema 1 is recognised", () => {
    expect(parseImageDocument(bytes({ schemaVersion: 1, name: "x" })).kind).toBe("schema1");
    expect(parseImageDocument(bytes({ schemaVersion: 1 }), mediaTypes.dockerSchema1Signed).kind).toBe(
      "schema1",
    );
  });

  test("digests are parsed before anybody can use them", () => {
    for (const bad of [
      "sha256:../../etc",
      `sha256:${"A".repeat(64)}`,
      "sha256:00",
      `md5:${"0".repeat(32)}`,
      "",
      7,
      null,
    ]) {
      const error = thrown(() =>
        parseManifest(bytes({ ...manifest, layers: [{ ...descriptor, digest: bad }] })),
      );
      expect(isCode(error, "data-loss")).toBe(true);
    }
  });

  test("malformed documents are data-loss and never anything else", () => {
    const bad: unknown[] = [
      "",
      "{",
      "null",
      "[]",
      "7",
      '"x"',
      "{}",
      "[".repeat(200_000),
      '{"a":'.repeat(100_000),
    ];
    bad.push(
      { schemaVersion: "2" },
      { ...manifest, layers: {} },
      { ...manifest, config: null },
      { schemaVersion: 3 },
    );
    bad.push({ ...manifest, layers: [null] }, { ...manifest, layers: [{ ...descriptor, size: -1 }] });
    bad.push(
      { ...manifest, layers: [{ ...descriptor, size: 1e300 }] },
      { ...manifest, annotations: { a: {} } },
    );
    bad.push({ ...manifest, layers: [{ ...descriptor, urls: [1] }] }, { ...index, manifests: "x" });
    for (const each of bad)
      expect(
        isCode(
          thrown(() => parseImageDocument(bytes(each))),
          "data-loss",
        ),
      ).toBe(true);
    expect(
      isCode(
        thrown(() => parseImageDocument(new Uint8Array([0x7b, 0xff, 0x7d]))),
        "data-loss",
      ),
    ).toBe(true);
  });

  test("a document over the cap is refused before it is parsed", () => {
    expect(() => parseImageDocument(new Uint8Array(manifestLimit + 1))).toThrow("larger than");
  });
});

describe("image configs", () => {
  const config = {
    architecture: "amd64",
    os: "linux",
    created: "2024-01-01T00:00:00Z",
    config: { Env: ["A=b"], Cmd: ["sh"], Labels: null, ExposedPorts: { "80/tcp": {} }, Entrypoint: null },
    rootfs: { type: "layers", diff_ids: [digest] },
    history: [{ created_by: "x", empty_layer: true }],
    unknown: 1,
  };

  test("known members are kept, null is absent", () => {
    expect(parseImageConfig(bytes(config))).toEqual({
      architecture: "amd64",
      os: "linux",
      created: "2024-01-01T00:00:00Z",
      config: { Env: ["A=b"], Cmd: ["sh"], ExposedPorts: { "80/tcp": {} } },
      rootfs: { type: "layers", diff_ids: [digest as string as DiffId] },
      history: [{ created_by: "x", empty_layer: true }],
    });
    expect(parseImageConfig(bytes({ ...config, config: null, history: null })).config).toBeUndefined();
  });

  test("a config without rootfs, or with members of a wrong type, is data-loss", () => {
    expect(() => parseImageConfig(bytes({ os: "linux" }))).toThrow("invalid image JSON, no RootFS key");
    const bad: unknown[] = [
      { ...config, rootfs: { type: "layers", diff_ids: ["../x"] } },
      { ...config, os: 1 },
    ];
    bad.push(
      { ...config, config: { Env: "x" } },
      { ...config, config: { Labels: { a: 1 } } },
      { ...config, history: [1] },
    );
    bad.push({ ...config, rootfs: { type: "other", diff_ids: [] } }, { ...config, config: [] });
    for (const each of bad)
      expect(
        isCode(
          thrown(() => parseImageConfig(bytes(each))),
          "data-loss",
        ),
      ).toBe(true);
  });
});

describe("digests and chains", () => {
  test("the sha256 of the empty string is what everybody has", () => {
    expect(digestOf("")).toBe(
      "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" as never,
    );
  });

  test("the chain of one layer is its diffID, each further one hashes the two (image-spec config.md)", () => {
    const [a, b, c] = ["a", "b", "c"].map((each) => digestOf(each) as string as DiffId);
    if (!a || !b || !c) throw new Error("layers");
    const first = chainId(undefined, a);
    expect(first as string).toBe(a);
    const second = digestOf(`${a} ${b}`) as string;
    expect(chainIds([a, b, c]).map(String)).toEqual([a, second, digestOf(`${second} ${c}`)]);
    expect(chainIds([])).toEqual([]);
  });
});
