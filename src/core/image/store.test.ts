import { expect, spyOn, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../base/lib/errors.ts";
import type { ChainId, Digest, ImageId } from "../../base/lib/ids.ts";
import { silentLog } from "../../base/lib/log.ts";
import { recoverImages } from "./recovery.ts";
import { ImageFixture, tarOf } from "./testdata/fixture.ts";

const base = tarOf([{ path: "etc", kind: "directory" }], [{ path: "etc/os", kind: "file" }, "base"]);
const app = tarOf([{ path: "app", kind: "file" }, "app"], [{ path: "etc/.wh.os", kind: "file" }]);
const other = tarOf([{ path: "other", kind: "file" }, "other!"]);

const code = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return `${codeOf(error)}: ${(error as Error).message}`;
  }
  return "none";
};

test("an image is found by every name a person may type", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["app:1.0", "app", "registry.example.com:5000/team/app:x"], base, app);
  const hex = image.id.slice("sha256:".length);
  for (const name of [
    "app",
    "app:latest",
    "app:1.0",
    "docker.io/library/app",
    "docker.io/app:1.0",
    "index.docker.io/library/app:1.0",
    "registry.example.com:5000/team/app:x",
    image.id,
    hex,
    hex.slice(0, 12),
    hex.slice(0, 3),
    image.id.slice(0, 20),
  ]) {
    expect(at.images.resolve(name).id).toBe(image.id);
  }
  expect(image.tags).toEqual(["app:1.0", "app:latest", "registry.example.com:5000/team/app:x"]);
  expect(image.size).toBe("base".length + "app".length);
  expect(image.layers.length).toBe(2);
});

test("what is not there is told in Docker's words", async () => {
  await using at = await ImageFixture.open();
  expect(code(() => at.images.resolve("nothing"))).toBe("not-found: No such image: nothing:latest");
  expect(code(() => at.images.resolve("a/b:c"))).toBe("not-found: No such image: a/b:c");
  const id = `sha256:${"a".repeat(64)}`;
  expect(code(() => at.images.resolve(id))).toBe(`not-found: No such image: ${id}`);
  expect(code(() => at.images.resolve("a".repeat(64)))).toBe(`not-found: No such image: ${id}`);
  expect(code(() => at.images.resolve("UPPER"))).toContain("must be lowercase");
  expect(code(() => at.images.resolve("a b"))).toContain("invalid reference format");
  expect(code(() => at.images.tag(id as ImageId, "x"))).toContain("not-found");
  expect(code(() => at.images.untag("x"))).toBe("not-found: No such image: x:latest");
});

test("a name beats an id prefix, and an ambiguous prefix is refused", async () => {
  await using at = await ImageFixture.open();
  const ids: ImageId[] = [];
  for (let i = 0; i < 17; i++) ids.push((await at.image([`n${i}`])).id);
  const firsts = ids.map((id) => id.charAt("sha256:".length));
  const twice = firsts.find((digit, index) => firsts.indexOf(digit) !== index) ?? "";
  expect(code(() => at.images.resolve(twice))).toContain("invalid-argument");
  const [first] = ids;
  if (first) at.images.tag(first, twice);
  expect(at.images.resolve(twice).id).toBe(first as ImageId);
});

test("a tag moves from image to image; the loser keeps its record", async () => {
  await using at = await ImageFixture.open();
  const one = await at.image(["x:1"], base);
  const two = await at.image(["x:2"], app);
  expect(at.images.tag(two.id, "x:1")).toBe(one.id);
  expect(at.images.tag(two.id, "x:1")).toBeUndefined();
  expect(at.images.get(one.id)?.tags).toEqual([]);
  expect(at.images.resolve("x:1").id).toBe(two.id);
  expect(at.images.untag("x:1")).toBe(two.id);
  expect(at.images.get(two.id)?.tags).toEqual(["x:2"]);
  const digest = `sha256:${"d".repeat(64)}`;
  at.images.tag(two.id, `x@${digest}`);
  expect(at.images.resolve(`x:whatever@${digest}`).id).toBe(two.id);
  expect(at.images.get(two.id)?.digests).toEqual([`x@${digest}`]);
  expect(code(() => at.images.tag(two.id, "sha256:abc"))).toContain("ambiguous tag");
});

test("deleting an image removes what it alone used, and nothing else", async () => {
  await using at = await ImageFixture.open();
  const one = await at.image(["one"], base, app);
  const two = await at.image(["two"], base, other);
  expect(at.leftovers()).toMatchObject({ snapshots: 3, blobs: 7 });
  expect(await at.images.delete(one.id)).toEqual([one.chainId as ChainId]);
  expect(at.leftovers()).toEqual({ snapshots: 2, blobs: 4, images: [two.id] });
  expect((await at.images.delete(two.id)).length).toBe(2);
  expect(at.leftovers()).toEqual({ snapshots: 0, blobs: 0, images: [] });
  await expect(at.images.delete(two.id)).rejects.toThrow("No such image");
});

test("changes that are made at once are made together, or not at all; layers go afterwards", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["app:1"], base);
  const half = () => {
    at.images.untag("app:1");
    at.images.drop(image.id);
    expect(at.images.get(image.id)).toBeUndefined();
    throw new Error("the daemon dies");
  };
  expect(() => at.images.atOnce(half)).toThrow("the daemon dies");
  expect(at.images.get(image.id)?.tags).toEqual(["app:1"]);
  let removeLayers = async (): Promise<readonly ChainId[]> => [];
  at.images.atOnce(() => {
    at.images.untag("app:1");
    removeLayers = at.images.drop(image.id);
  });
  expect(at.images.list()).toEqual([]);
  expect([...at.snapshots.list()].length).toBe(1);
  expect((await removeLayers()).length).toBe(1);
  expect([...at.snapshots.list()].length).toBe(0);
});

test("a layer that an image comes to have while another one is deleted stays", async () => {
  await using at = await ImageFixture.open();
  const one = await at.image(["one"], base, app);
  const remove = at.snapshots.remove.bind(at.snapshots);
  spyOn(at.snapshots, "remove").mockImplementationOnce(async (name) => {
    await remove(name);
    await at.image(["two"], base);
  });
  expect(await at.images.delete(one.id)).toEqual([one.chainId as ChainId]);
  const two = at.images.resolve("two");
  expect(at.snapshots.stat(two.chainId ?? "")).toBeDefined();
});

test("layers under a container outlive their image and go when the container is gone", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["one"], base, app);
  await at.snapshots.prepare("container", image.chainId);
  expect(await at.images.delete(image.id)).toEqual([]);
  expect(at.leftovers()).toMatchObject({ snapshots: 3, blobs: 0 });
  await at.snapshots.remove("container");
  await at.images.collect();
  expect(at.leftovers()).toMatchObject({ snapshots: 0 });
});

test("an unpacked layer waits for its image, and a record needs all its layers", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["one"], base, app);
  await at.images.delete(image.id);
  const other = await at.image(["keep"], base);
  // As a pull in the middle: unpacked, pinned, not recorded.
  at.images.forget(other.id);
  at.layers.pin(other.chainId as ChainId);
  await at.images.collect();
  expect(at.snapshots.stat(other.chainId ?? "")).toBeDefined();
  at.layers.unpin([other.chainId as ChainId]);
  await at.images.collect();
  expect(at.leftovers()).toMatchObject({ snapshots: 0, blobs: 0 });
  const config = await at.content.put(
    Buffer.from(
      JSON.stringify({
        os: "linux",
        architecture: "amd64",
        rootfs: { type: "layers", diff_ids: [image.layers[0]] },
      }),
    ),
    "x",
  );
  expect(code(() => at.images.add({ id: config.digest as string as ImageId, references: [] }))).toContain(
    "not unpacked",
  );
});

test("the same layer unpacked at once by many is unpacked once", async () => {
  await using at = await ImageFixture.open();
  const images = await Promise.all(["a", "b", "c"].map((name) => at.image([name], base)));
  expect(new Set(images.map((image) => image.chainId)).size).toBe(1);
  expect(at.leftovers().snapshots).toBe(1);
});

test("a layer that does not hash to its diffID leaves nothing behind", async () => {
  await using at = await ImageFixture.open();
  const blob = await at.content.put(base, "x");
  const wrong = { descriptor: blob, diffId: `sha256:${"0".repeat(64)}` as never };
  await expect(at.unpacker.unpack(wrong, undefined, {})).rejects.toThrow("layer verification failed");
  expect(at.leftovers().snapshots).toBe(0);
});

test("an aborted unpack ends at once and leaves nothing behind", async () => {
  await using at = await ImageFixture.open();
  const big = tarOf(
    ...Array.from({ length: 3000 }, (_, i) => [{ path: `f${i}`, kind: "file" as const }, "x"] as const),
  );
  const blob = await at.content.put(big, "x");
  const abort = new AbortController();
  const work = at.unpacker.unpack(
    { descriptor: blob, diffId: `sha256:${"0".repeat(64)}` as never },
    undefined,
    {
      signal: abort.signal,
      // In the middle of it.
      onProgress: () => abort.abort(new Error("gone")),
    },
  );
  await expect(work).rejects.toThrow("gone");
  expect(at.leftovers().snapshots).toBe(0);
});

test("a helper that is killed is an error, not a layer", async () => {
  await using at = await ImageFixture.open();
  const blob = await at.content.put(base, "x");
  const { ProcessUnpacker } = await import("./unpack/unpacker.ts");
  const broken = new ProcessUnpacker({
    helperCommand: ["sh", "-c", "echo trouble >&2; kill -9 $$"],
    content: at.content,
    snapshots: at.snapshots,
    layers: at.layers,
  });
  const work = broken.unpack(
    { descriptor: blob, diffId: `sha256:${"0".repeat(64)}` as never },
    undefined,
    {},
  );
  await expect(work).rejects.toThrow("SIGKILL: trouble");
  expect(at.leftovers().snapshots).toBe(0);
});

test("after a crash half-unpacked layers and stray blobs go, and lost layers come back from their blobs", async () => {
  await using at = await ImageFixture.open();
  const image = await at.image(["one"], base, app);
  await at.snapshots.prepare("unpack-dead", image.chainId);
  await at.content.put(Buffer.from("stray"), "x");
  await at.restart();
  await recoverImages({ ...at, log: silentLog });
  expect(at.leftovers()).toEqual({ snapshots: 2, blobs: 4, images: [image.id] });
  // The storage driver was changed: its store is empty.
  await at.restart("vfs");
  await recoverImages({
    images: at.images,
    unpacker: at.unpacker,
    snapshots: at.snapshots,
    content: at.content,
    log: silentLog,
  });
  const layout = at.snapshots.layout(image.chainId ?? "");
  expect(layout.kind === "tree" && readFileSync(join(layout.tree, "app"), "utf8")).toBe("app");
  expect(at.images.list().length).toBe(1);
  // And once more with the blobs gone too.
  for (const chainId of [image.chainId ?? "", image.layers[0] ?? ""]) await at.snapshots.remove(chainId);
  for (const blob of [...at.content.list()])
    if (blob.digest !== (image.id as string)) await at.content.delete(blob.digest as Digest);
  await recoverImages({ ...at, log: silentLog });
  expect(at.leftovers()).toEqual({ snapshots: 0, blobs: 0, images: [] });
});
