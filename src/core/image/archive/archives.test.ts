import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "bun";
import { messageOf } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { readTar } from "../../../base/lib/tar/read.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { LoadEvent } from "../image.ts";
import { ImageFixture, streamOfBytes, tarOf } from "../testdata/fixture.ts";

const base = tarOf([{ path: "etc", kind: "directory" }], [{ path: "etc/os", kind: "file" }, "base"]);
const app = tarOf([{ path: "app", kind: "file" }, "app"]);

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(stream).arrayBuffer());
}

async function filesOf(tar: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const chunks = async function* () {
    yield tar;
  };
  for await (const member of readTar(chunks())) files.set(member.entry.path, await member.bytes(1 << 24));
  return files;
}

async function load(at: ImageFixture, tar: Uint8Array): Promise<LoadEvent[]> {
  const events: LoadEvent[] = [];
  for await (const event of at.archives.load(streamOfBytes(tar))) events.push(event);
  return events;
}

const names = (events: readonly LoadEvent[]) =>
  events.flatMap((event) => (event.kind === "loaded" ? [event.reference] : []));

function compress(command: string[], input: Buffer): Buffer {
  return Buffer.from(Bun.spawnSync(command, { stdin: input }).stdout);
}

test("what is saved loads again, with the same ids, names and layers, however it is compressed", async () => {
  await using from = await ImageFixture.open();
  const one = await from.image(["one:1", "one:2", "registry.example.com/x/one:3"], base, app);
  const two = await from.image(["two"], base);
  const tar = await bytesOf(from.archives.save(["one:1", "one:2", "registry.example.com/x/one:3", "two"]));
  const images = JSON.stringify([...from.images.list()].map((image) => ({ ...image, lastTagged: 0 })));
  for (const command of [["cat"], ["gzip", "-1c"], ["zstd", "-qc"], ["bzip2", "-c"], ["xz", "-0c"]]) {
    await using to = await ImageFixture.open();
    const events = await load(to, compress(command, tar));
    expect(names(events)).toEqual(["one:1", "one:2", "registry.example.com/x/one:3", "two:latest"]);
    expect(events.some((event) => event.kind === "progress" && event.done === event.total)).toBe(true);
    expect([...to.images.list()].map((image) => image.id).sort()).toEqual([one.id, two.id].sort());
    const again = [...to.images.list()].map((image) => ({ ...image, lastTagged: 0 }));
    expect(JSON.stringify(again)).toBe(images);
    expect(
      await bytesOf(to.archives.save(["one:1", "one:2", "registry.example.com/x/one:3", "two"])),
    ).toEqual(tar);
    await to.images.delete(one.id);
    await to.images.delete(two.id);
    expect(to.leftovers()).toEqual({ snapshots: 0, blobs: 0, images: [] });
  }
}, 60_000);

test("an archive holds both layouts, and every blob hashes to its name", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["one:1"], base, app);
  const files = await filesOf(await bytesOf(at.archives.save(["one:1"])));
  for (const [path, bytes] of files) {
    const hex = /^blobs\/sha256\/([a-f0-9]{64})$/.exec(path)?.[1];
    if (hex) expect(digestOf(bytes)).toBe(`sha256:${hex}` as Digest);
  }
  const json = (path: string) => JSON.parse(files.get(path)?.toString() ?? "null");
  const [manifest] = json("manifest.json");
  expect(manifest.Config).toBe(`blobs/sha256/${image.id.slice(7)}`);
  expect(manifest.RepoTags).toEqual(["one:1"]);
  expect(manifest.Layers.length).toBe(2);
  expect(json("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
  expect(Object.keys(json("repositories"))).toEqual(["one"]);
  expect(json("index.json").manifests[0].annotations).toEqual({
    "io.containerd.image.name": "docker.io/library/one:1",
    "org.opencontainers.image.ref.name": "1",
  });
});

test("saving by id names nothing, by name alone takes all its tags", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["one:1", "one:2", "two:1"], base);
  const tags = async (reference: string) => {
    const files = await filesOf(await bytesOf(at.archives.save([reference])));
    return JSON.parse(files.get("manifest.json")?.toString() ?? "[]")[0].RepoTags;
  };
  expect(await tags(image.id)).toBeNull();
  expect(await tags(image.id.slice(7, 19))).toBeNull();
  expect(await tags("one")).toEqual(["one:1", "one:2"]);
  expect(await tags("two:1")).toEqual(["two:1"]);
  expect(() => at.archives.save(["missing"])).toThrow(/^No such image: missing$/);
  await using to = await ImageFixture.open();
  const events = await load(to, await bytesOf(at.archives.save([image.id])));
  expect(events.at(-1)).toEqual({ kind: "loaded", id: image.id, reference: undefined });
});

/** As docker save of old writes: a directory a layer, equal layers as links. */
function legacyArchive(): { readonly tar: Buffer; readonly id: string } {
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [digestOf(base), digestOf(base)] },
  });
  const id = digestOf(config);
  const manifest = [
    { Config: `${id.slice(7)}.json`, RepoTags: ["old:1"], Layers: ["aa/layer.tar", "bb/layer.tar"] },
  ];
  const tar = tarOf(
    [{ path: "aa", kind: "directory" }],
    [{ path: "aa/layer.tar", kind: "file", size: base.length }, base.toString("latin1")],
    [{ path: "bb/layer.tar", kind: "symlink", linkPath: "../aa/layer.tar" }],
    [{ path: `${id.slice(7)}.json`, kind: "file" }, config],
    [{ path: "manifest.json", kind: "file" }, JSON.stringify(manifest)],
    [{ path: "repositories", kind: "file" }, "{}"],
  );
  return { tar, id };
}

test("an archive of an old docker save is loaded", async () => {
  await using at = await ImageFixture.open();
  const { tar, id } = legacyArchive();
  expect((await load(at, tar)).at(-1)).toEqual({ kind: "loaded", id: id as never, reference: "old:1" });
  expect(at.images.resolve("old:1").layers.length).toBe(2);
});

test("an archive cut off or damaged anywhere is refused and leaves nothing", async () => {
  await using at = await ImageFixture.open();
  await using from = await ImageFixture.open();
  await from.image(["one:1"], base, app);
  const good = await bytesOf(from.archives.save(["one:1"]));
  const packed = Buffer.from(gzipSync(new Uint8Array(good)));
  const nothing = { snapshots: 0, blobs: 0, images: [] };
  const refused = async (tar: Uint8Array) => {
    const failure = await load(at, tar).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(at.leftovers()).toEqual(nothing);
    return messageOf(failure);
  };
  expect(await refused(good.subarray(0, 3000))).toBe("unexpected EOF");
  expect(await refused(packed.subarray(0, packed.length >> 1))).toBe("unexpected EOF");
  expect(await refused(Buffer.alloc(4096, "rubbish "))).toBe("archive/tar: invalid tar header");
  expect(await refused(Buffer.alloc(0))).toBe("unexpected EOF");
  expect(await refused(base)).toContain("neither manifest.json nor index.json");
  // One byte of each blob flipped, in turn.
  for (let offset = 512 * 3; offset < good.length - 4096; offset += 1024) {
    const bad = Buffer.from(good);
    bad[offset] = (bad[offset] ?? 0) ^ 0x5a;
    const events = await load(at, bad).catch((error: unknown) => error);
    if (Array.isArray(events)) {
      for (const image of at.images.list()) await at.images.delete(image.id);
    }
    expect(at.leftovers()).toEqual(nothing);
  }
}, 60_000);

test("an archive that lies about its parts is refused", async () => {
  await using at = await ImageFixture.open();
  const config = {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [digestOf(base)] },
  };
  const archive = (change: { config?: object; manifest?: object; layer?: Buffer; text?: string }) =>
    tarOf(
      [{ path: "layer.tar", kind: "file" }, (change.layer ?? base).toString("latin1")],
      [{ path: "c.json", kind: "file" }, JSON.stringify({ ...config, ...change.config })],
      [
        { path: "manifest.json", kind: "file" },
        change.text ??
          JSON.stringify([
            { Config: "c.json", RepoTags: ["x:1"], Layers: ["layer.tar"], ...change.manifest },
          ]),
      ],
    );
  const cases: [Parameters<typeof archive>[0], string][] = [
    [{ text: "{" }, "invalid manifest.json"],
    [{ text: "{}" }, "not a list"],
    [{ text: "[]" }, "lists no image"],
    [{ text: "[{}]" }, "has no Config"],
    [{ manifest: { Config: "../../../etc/passwd" } }, "lacks the image config"],
    [{ manifest: { Layers: ["/etc/passwd"] } }, "lacks the layer"],
    [{ manifest: { Layers: [] } }, "layers length mismatch: expected 1, got 0"],
    [{ manifest: { Layers: [1] } }, "Layers is not a list of strings"],
    [{ manifest: { RepoTags: ["x@sha256:abc"] } }, "invalid reference format"],
    [{ manifest: { RepoTags: ["UPPER:1"] } }, "must be lowercase"],
    [{ manifest: { RepoTags: ["notag"] } }, "invalid tag"],
    [{ config: { os: "windows" } }, "cannot load windows image on linux"],
    [{ config: { rootfs: undefined } }, "no RootFS key"],
    [{ config: { rootfs: { type: "layers", diff_ids: ["sha256:../../x"] } } }, "invalid diff_id"],
    [{ layer: app }, "layer verification failed"],
  ];
  for (const [change, message] of cases) {
    const failure = await load(at, archive(change)).catch((error: unknown) => error);
    expect(messageOf(failure)).toContain(message);
    expect(at.leftovers()).toEqual({ snapshots: 0, blobs: 0, images: [] });
  }
  expect(names(await load(at, archive({})))).toEqual(["x:1"]);
});

test("of two images in an archive the good one before a bad one stays", async () => {
  await using at = await ImageFixture.open();
  const { tar } = legacyArchive();
  const files = await filesOf(tar);
  const manifest = JSON.parse(files.get("manifest.json")?.toString() ?? "[]");
  manifest.push({ Config: "missing.json", RepoTags: [], Layers: [] });
  files.set("manifest.json", Buffer.from(JSON.stringify(manifest)));
  files.set("bb/layer.tar", files.get("aa/layer.tar") ?? Buffer.alloc(0));
  const entries = [...files].map(([path, bytes]) => {
    const kind = path.endsWith("/") ? ("directory" as const) : ("file" as const);
    return [{ path, kind }, bytes.toString("latin1")] as const;
  });
  await expect(load(at, tarOf(...entries))).rejects.toThrow("lacks the image config");
  expect(at.images.list().map((image) => image.tags)).toEqual([["old:1"]]);
});

test("a root file system is imported with its own bytes kept, plain or compressed", async () => {
  await using at = await ImageFixture.open();
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [] } };
  for (const [name, command] of [
    ["plain", ["cat"]],
    ["gz", ["gzip", "-c"]],
    ["zst", ["zstd", "-qc"]],
    ["bz", ["bzip2", "-c"]],
    ["xz", ["xz", "-c"]],
  ] as const) {
    const id = await at.archives.import(
      streamOfBytes(compress([...command], base)),
      config,
      `imported:${name}`,
      "hello",
    );
    const image = at.images.resolve(`imported:${name}`);
    expect(image.id).toBe(id);
    expect(image.layers).toEqual([digestOf(base) as never]);
    expect(image.config.history).toEqual([{ comment: "hello" }]);
    const layout = at.snapshots.layout(image.chainId ?? "");
    expect(layout.kind === "overlay" && readFileSync(join(layout.upper, "etc/os"), "utf8")).toBe("base");
  }
  expect(at.leftovers().snapshots).toBe(1);
  for (const bad of [
    Buffer.alloc(3000, "no tar"),
    base.subarray(0, 700),
    Buffer.from([0x1f, 0x8b, 8, 1, 2, 3, 4]),
  ]) {
    await at.images.collect();
    const before = at.leftovers();
    await expect(at.archives.import(streamOfBytes(bad), config, "bad", "")).rejects.toThrow();
    expect(at.leftovers()).toEqual(before);
  }
});

test("skopeo reads what is saved, and what skopeo copies is loaded", async () => {
  if (!Bun.which("skopeo")) return console.log("skipped: skopeo is not installed");
  await using at = await ImageFixture.open();
  await using to = await ImageFixture.open();
  const image = await at.image(["one:1"], base, app);
  const path = join(at.base, "saved.tar");
  await Bun.write(path, await bytesOf(at.archives.save(["one:1"])));
  for (const [source, target] of [
    [`docker-archive:${path}`, "oci-archive"],
    [`oci-archive:${path}`, "docker-archive"],
  ]) {
    const out = join(at.base, `${target}.tar`);
    const copy = Bun.spawnSync([
      "skopeo",
      "--insecure-policy",
      "copy",
      "-q",
      source ?? "",
      `${target}:${out}:two:2`,
    ]);
    expect(copy.stderr.toString()).toBe("");
    expect(names(await load(to, readFileSync(out)))).toEqual(["two:2"]);
    expect(to.images.resolve("two:2").layers).toEqual(image.layers);
  }
});
