import { expect, test } from "bun:test";
import { messageOf } from "../../base/lib/errors.ts";
import { readTar } from "../../base/lib/tar/read.ts";
import { tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";
import type { LoadEvent } from "./image.ts";
import { ImageFixture, streamOfBytes, tarOf } from "./testdata/fixture.ts";

const layer = (text: string) => tarOf([{ path: "etc/arch", kind: "file" }, text]);
const both = { arm64: layer("arm"), amd64: layer("amd") };
const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64" };

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(stream).arrayBuffer());
}

async function load(
  at: ImageFixture,
  tar: Uint8Array,
  platforms: (typeof amd64)[] = [],
): Promise<LoadEvent[]> {
  const events = await Array.fromAsync(at.archives.load(streamOfBytes(tar), { platforms }));
  return events.filter((event) => event.kind === "loaded");
}

const failure = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return messageOf(error);
  }
  return "none";
};

test("a name of an index means this host's platform, and each platform is found by its own words", async () => {
  await using at = await ImageFixture.open();
  const { index, images } = await at.multi(["app:1"], both);
  const [arm, amd] = images;
  const manifestOf = (id: string | undefined) => at.images.get(id as never)?.manifest?.digest ?? "";
  expect(at.images.find("app:1")).toMatchObject({ image: { id: amd?.id }, target: { digest: index.digest } });
  expect(at.images.resolve("app:1", arm64).id).toBe(arm?.id as never);
  expect(at.images.find("app:1", arm64).target?.digest).toBe(manifestOf(arm?.id) as never);
  for (const word of [
    index.digest,
    index.digest.slice(7),
    index.digest.slice(7, 19),
    `app@${index.digest}`,
  ]) {
    expect(at.images.resolve(word).id).toBe(amd?.id as never);
  }
  const armManifest = manifestOf(arm?.id);
  for (const word of [armManifest, armManifest.slice(7, 19), `app@${armManifest}`, `app:1@${armManifest}`]) {
    expect(at.images.find(word)).toMatchObject({ image: { id: arm?.id }, target: { digest: armManifest } });
  }
  expect(failure(() => at.images.resolve(`other@${armManifest}`))).toContain("No such image: other@sha256:");
  expect(failure(() => at.images.resolve("app:1", { os: "linux", architecture: "s390x" }))).toBe(
    "image with reference app:1 was found but does not provide the specified platform (linux/s390x)",
  );
  await at.image(["single"], { architecture: "arm64" }, layer("single"));
  expect(failure(() => at.images.resolve("single", amd64))).toBe(
    "image with reference single was found but its platform (linux/arm64) does not match the specified platform (linux/amd64)",
  );
});

test("platforms of an index are seen as one image, until one has a name of its own", async () => {
  await using at = await ImageFixture.open();
  const { images } = await at.multi(["app:1"], both);
  const [arm, amd] = images;
  expect(at.images.list().map((image) => image.id)).toEqual([amd?.id as never]);
  expect(at.images.all().length).toBe(2);
  expect(at.images.list()[0]?.siblings).toEqual([arm?.id as never]);
  const found = at.images.find("app:1", arm64);
  at.images.tag(found.image.id, "arm-only", found.target?.digest);
  expect(at.images.list().length).toBe(2);
  at.images.tag(amd?.id as never, "copy");
  expect(at.images.resolve("copy", arm64).id).toBe(arm?.id as never);
});

test("when the chosen platform goes, its names move to one that is left", async () => {
  await using at = await ImageFixture.open();
  const { images, index } = await at.multi(["app:1"], both);
  const [arm, amd] = images;
  await at.images.delete(amd?.id as never);
  expect(at.images.find("app:1")).toMatchObject({ image: { id: arm?.id }, target: { digest: index.digest } });
  expect(at.images.list().map((image) => image.tags)).toEqual([["app:1"]]);
  await at.images.delete(arm?.id as never);
  expect(at.leftovers()).toEqual({ blobs: 0, snapshots: 0, images: [] });
});

test("two manifests of one config are both kept while names point at them", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["one"], layer("x"));
  const document = JSON.parse(
    Buffer.from(await at.content.read(image.manifest?.digest as never, 1 << 20)).toString(),
  );
  const other = await at.content.put(
    Buffer.from(JSON.stringify({ ...document, annotations: { a: "b" } })),
    "",
  );
  const manifest = { ...other, mediaType: document.mediaType };
  at.images.add({ id: image.id, manifest, references: ["two"] });
  await at.images.collect();
  expect(at.images.find("one").target?.digest).toBe(image.manifest?.digest as never);
  expect(at.images.find("two").target?.digest).toBe(other.digest);
  expect(at.content.stat(image.manifest?.digest as never)).toBeDefined();
  at.images.untag("one");
  await at.images.collect();
  expect(at.content.stat(image.manifest?.digest as never)).toBeUndefined();
});

test("save and load keep index, attestations and digests; by platform only that one goes", async () => {
  await using from = await ImageFixture.open();
  const { index, images, attestation } = await from.multi(["app:1", "reg.test/app:2"], both);
  const [arm, amd] = images;
  const tar = await bytesOf(from.archives.save(["app:1", "reg.test/app:2"]));
  {
    await using to = await ImageFixture.open();
    expect(await load(to, tar)).toEqual([
      { kind: "loaded", id: amd?.id as never, reference: "app:1" },
      { kind: "loaded", id: amd?.id as never, reference: "reg.test/app:2" },
    ]);
    expect(to.images.find("app:1").target?.digest).toBe(index.digest);
    expect(to.images.resolve("app:1", arm64).id).toBe(arm?.id as never);
    expect(to.content.stat(attestation.digest)).toBeDefined();
    expect(await bytesOf(to.archives.save(["app:1", "reg.test/app:2"]))).toEqual(tar);
    await to.images.delete(amd?.id as never);
    await to.images.delete(arm?.id as never);
    expect(to.leftovers()).toEqual({ blobs: 0, snapshots: 0, images: [] });
  }
  {
    await using to = await ImageFixture.open();
    await load(to, tar, [arm64]);
    expect(to.images.all().map((image) => image.id)).toEqual([arm?.id as never]);
    expect(to.images.find("app:1").target?.digest).toBe(index.digest);
    await expect(load(to, tar, [{ os: "linux", architecture: "s390x" }])).rejects.toThrow(
      "no image found in the archive for platform linux/s390x",
    );
  }
  const part = await bytesOf(from.archives.save(["app:1"], { platforms: [arm64] }));
  await using to = await ImageFixture.open();
  await load(to, tar);
  expect(await load(to, part)).toEqual([
    { kind: "loaded", id: arm?.id as never, reference: "app:1", displaced: amd?.id as never },
  ]);
  expect(to.images.find("app:1")).toMatchObject({
    image: { id: arm?.id },
    target: { digest: arm?.manifest?.digest },
    index: undefined,
  });
  expect(() =>
    from.archives.save(["app:1"], { platforms: [{ os: "linux", architecture: "s390x" }] }),
  ).toThrow("does not provide the specified platform (linux/s390x)");
});

test("an index of which one platform is here saves that, and what loads it has the same index", async () => {
  await using from = await ImageFixture.open();
  const { index, images } = await from.multi(["app:1"], both);
  await from.images.delete(images[0]?.id as never);
  const tar = await bytesOf(from.archives.save(["app:1"]));
  const paths: string[] = [];
  const chunks = async function* () {
    yield tar;
  };
  for await (const member of readTar(chunks())) paths.push(member.entry.path);
  expect(paths).toContain(`blobs/sha256/${index.digest.slice(7)}`);
  await using to = await ImageFixture.open();
  await load(to, tar);
  expect(to.images.find("app:1").target?.digest).toBe(index.digest);
  expect(to.images.all().length).toBe(1);
});

test("of an archive that is both, the index decides, and what only manifest.json tells is added", async () => {
  await using from = await ImageFixture.open();
  const image = await from.image(["one:1"], layer("one"));
  const files = new Map<string, Buffer>();
  const chunks = async function* () {
    yield await bytesOf(from.archives.save(["one:1"]));
  };
  for await (const member of readTar(chunks())) {
    if (member.entry.kind === "file") files.set(member.entry.path, await member.bytes(1 << 24));
  }
  const archive = (changes: Readonly<Record<string, unknown>>) => {
    const all = new Map(files);
    for (const [path, value] of Object.entries(changes)) all.set(path, Buffer.from(JSON.stringify(value)));
    const members = [...all].flatMap(([path, bytes]) => [
      tarHeader({ path, kind: "file", size: bytes.length }),
      bytes,
      tarPadding(bytes.length),
    ]);
    return Buffer.concat([...members, tarTrailer]);
  };
  const [manifest] = JSON.parse(files.get("manifest.json")?.toString() ?? "[]");
  const names = async (tar: Buffer) => {
    await using to = await ImageFixture.open();
    const events = await load(to, tar);
    expect(to.images.all().map((one) => one.id)).toEqual([image.id]);
    const found = to.images.find(image.id).target?.digest;
    return {
      names: events.map((event) => event.kind === "loaded" && event.reference),
      same: found === image.manifest?.digest,
    };
  };
  const more = [{ ...manifest, RepoTags: ["one:1", "extra:2"] }];
  expect(await names(archive({ "manifest.json": more }))).toEqual({
    names: ["one:1", "extra:2"],
    same: true,
  });
  const empty = { schemaVersion: 2, manifests: [] };
  expect((await names(archive({ "index.json": empty }))).names).toEqual(["one:1"]);
});
