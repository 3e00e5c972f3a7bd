import { expect, test } from "bun:test";
import { shortId } from "../../base/lib/ids.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { ListOptions } from "./list.ts";
import type { PullOptions } from "./pull.ts";
import { ImageService } from "./service.ts";
import { ImageWorld, remoteImage } from "./testdata/fakes.ts";

const all: ListOptions = { all: false, filters: {}, sharedSize: false, digests: false, manifests: false };
const signal = new AbortController().signal;
const pullOptions: PullOptions = { platform: undefined, auth: undefined, allTags: false };

async function pull(service: ImageService, name: string, options = pullOptions): Promise<ProgressMessage[]> {
  return await Array.fromAsync(service.pull(name, options, signal));
}

test("a pull tells in dockerd's words what it does, and what was there already", async () => {
  const world = new ImageWorld();
  const service = new ImageService(world.deps);
  const remote = remoteImage(["l1", "l2"]);
  world.remote.set("busybox:latest", remote);
  const [l1 = "", l2 = ""] = remote.layers.map((layer) => shortId(layer.digest));
  const first = await pull(service, "busybox");
  expect(first[0]).toEqual({ status: "Pulling from library/busybox", id: "latest" });
  const of = (id: string) => first.filter((message) => message.id === id).map((message) => message.status);
  const course = [
    "Pulling fs layer",
    "Downloading",
    "Verifying Checksum",
    "Download complete",
    "Extracting",
    "Pull complete",
  ];
  expect(of(l1)).toEqual(course);
  expect(of(l2)).toEqual(course);
  expect(first.at(-2)).toEqual({ status: `Digest: ${remote.manifest.digest}` });
  expect(first.at(-1)).toEqual({ status: "Status: Downloaded newer image for busybox:latest" });
  const image = world.images.resolve("busybox");
  expect(image.tags).toEqual(["busybox:latest"]);
  expect(image.digests).toEqual([`busybox@${remote.manifest.digest}`]);
  expect(world.events.at(-1)).toMatchObject({ type: "image", action: "pull", id: "busybox:latest" });
  const second = await pull(service, "docker.io/library/busybox:latest");
  expect(second.map((message) => message.status)).toEqual([
    "Pulling from library/busybox",
    `Digest: ${remote.manifest.digest}`,
    "Status: Image is up to date for busybox:latest",
  ]);
});

test("a pull by digest adds no tag, and a moved tag leaves the old image without one", async () => {
  const world = new ImageWorld();
  const service = new ImageService(world.deps);
  const one = remoteImage(["l1"]);
  world.remote.set(`reg:5000/app@${one.manifest.digest}`, one);
  await pull(service, `reg:5000/app@${one.manifest.digest}`);
  expect(world.images.list()[0]?.tags).toEqual([]);
  world.remote.set("reg:5000/app:v1", one);
  await pull(service, "reg:5000/app:v1");
  const two = remoteImage(["l1", "l2"]);
  world.remote.set("reg:5000/app:v1", two);
  await pull(service, "reg:5000/app:v1");
  expect(world.images.list().map((image) => image.tags)).toEqual([[], ["reg:5000/app:v1"]]);
});

test("an image that cannot be found fails before the first message", async () => {
  const service = new ImageService(new ImageWorld().deps);
  await expect(pull(service, "nope")).rejects.toThrow("manifest for nope:latest not found: manifest unknown");
  await expect(pull(service, "UPPER")).rejects.toThrow("must be lowercase");
  await expect(pull(service, "a:b", { ...pullOptions, allTags: true })).rejects.toThrow(
    "tag can't be used with --all-tags/-a",
  );
  await expect(pull(service, "a", { ...pullOptions, platform: "a/b/c/d" })).rejects.toThrow(
    "cannot parse platform specifier",
  );
});

test("listing filters by name, label, age and dangling", async () => {
  const world = new ImageWorld();
  const service = new ImageService(world.deps);
  world.images.make("old", {
    created: "2020-01-01T00:00:00Z",
    labels: { a: "1" },
    references: ["old:1", "x/old:2"],
  });
  world.images.make("new", { created: "2024-01-01T00:00:00Z" });
  const parent = world.images.make("parent", { references: [], created: "2022-01-01T00:00:00Z" });
  world.images.make("loose", { references: [], parent: parent.id, created: "2023-01-01T00:00:00Z" });
  const find = async (filters: Record<string, string[]>, options: Partial<ListOptions> = {}) =>
    (await service.list({ ...all, filters, ...options })).map((image) => image.RepoTags.join() || "<none>");
  expect(await find({})).toEqual(["new:latest", "<none>", "old:1,x/old:2"]);
  expect(await find({}, { all: true })).toEqual(["new:latest", "<none>", "<none>", "old:1,x/old:2"]);
  expect(await find({ dangling: ["true"] })).toEqual(["<none>"]);
  expect(await find({ dangling: ["false"] })).toEqual(["new:latest", "old:1,x/old:2"]);
  expect(await find({ reference: ["old"] })).toEqual(["old:1"]);
  expect(await find({ reference: ["*/old"] })).toEqual(["x/old:2"]);
  expect(await find({ reference: ["o*:1", "new"] })).toEqual(["new:latest", "old:1"]);
  expect(await find({ label: ["a=1"] })).toEqual(["old:1,x/old:2"]);
  expect(await find({ before: ["new"] })).toEqual(["<none>", "old:1,x/old:2"]);
  expect(await find({ since: ["old:1"] })).toEqual(["new:latest", "<none>"]);
  expect(await find({ until: ["2020-06-01"] })).toEqual(["old:1,x/old:2"]);
  await expect(find({ colour: ["red"] })).rejects.toThrow("invalid filter 'colour'");
  await expect(find({ reference: ["["] })).rejects.toThrow("syntax error in pattern");
});

test("shared sizes count the layers that other images have too", async () => {
  const world = new ImageWorld();
  for (const name of ["a", "b"]) {
    for (const chain of chainIds(world.images.make(name, { layers: ["base", name] }).layers))
      world.chains.add(chain);
  }
  const list = await new ImageService(world.deps).list({ ...all, sharedSize: true });
  expect(list.map((image) => [image.SharedSize, image.Containers])).toEqual([
    [10, 0],
    [10, 0],
  ]);
});

test("inspect and history show the image in the newest shape", async () => {
  const world = new ImageWorld();
  const service = new ImageService(world.deps);
  const image = world.images.make("a", { labels: { k: "v" } });
  for (const chain of chainIds(image.layers)) world.chains.add(chain);
  expect(await service.inspect("a")).toMatchObject({
    Id: image.id,
    RepoTags: ["a:latest"],
    RepoDigests: [],
    Config: { Labels: { k: "v" }, Cmd: ["a"] },
    Os: "linux",
    GraphDriver: { Name: "overlay2" },
    RootFS: { Type: "layers", Layers: [...image.layers] },
    Metadata: { LastTagTime: "0001-01-01T00:00:00Z" },
  });
  const history = await service.history("a");
  expect(history.map((item) => [item.Id, item.CreatedBy, item.Size])).toEqual([
    [image.id, "CMD", 0],
    ["<missing>", "ADD", 10],
  ]);
});

test("tagging checks both names and announces the new one", async () => {
  const world = new ImageWorld();
  const service = new ImageService(world.deps);
  const image = world.images.make("a");
  await service.tag("a", "reg:5000/b", "v1");
  expect(world.images.resolve("reg:5000/b:v1").id).toBe(image.id);
  expect(world.events.at(-1)).toMatchObject({
    action: "tag",
    id: image.id,
    attributes: { name: "reg:5000/b:v1" },
  });
  await expect(service.tag("a", "B", "")).rejects.toThrow("must be lowercase");
  await expect(service.tag("nope", "b", "")).rejects.toThrow("No such image: nope:latest");
});

test("prune takes what nobody names and uses; with dangling=false all that nobody uses", async () => {
  const world = new ImageWorld();
  const service = new ImageService(world.deps);
  const loose = world.images.make("loose", { references: [] });
  for (const chain of chainIds(loose.layers)) world.chains.add(chain);
  const used = world.images.make("used");
  world.users.set(used.id, [{ id: "c1", running: false }]);
  world.images.make("two", { references: ["two:1", "two:2"] });
  const first = await service.prune({});
  expect(first.ImagesDeleted?.[0]).toEqual({ Deleted: loose.id });
  expect(first.SpaceReclaimed).toBe(10);
  expect((await service.prune({})).ImagesDeleted).toBeNull();
  const second = await service.prune({ dangling: ["false"] });
  expect(second.ImagesDeleted?.slice(0, 2)).toEqual([{ Untagged: "two:1" }, { Untagged: "two:2" }]);
  expect(world.images.list().map((image) => image.id)).toEqual([used.id]);
});

test("prune takes an image and what was made from it, whichever is listed first", async () => {
  for (const childFirst of [true, false]) {
    const world = new ImageWorld();
    const service = new ImageService(world.deps);
    const base = world.images.make("base");
    world.images.make("child", { parent: base.id });
    const listed = world.images.list.bind(world.images);
    const order = (images: ReturnType<typeof listed>) =>
      images.toSorted((one, other) => Number(one.id === base.id) - Number(other.id === base.id));
    world.images.list = () => (childFirst ? order(listed()) : order(listed()).reverse());
    await service.prune({ dangling: ["false"] });
    expect(listed()).toEqual([]);
  }
});

test("progress of a slow reader keeps the newest byte count and every change of state", async () => {
  const { ProgressQueue } = await import("./progress.ts");
  const queue = new ProgressQueue();
  for (let i = 0; i < 100; i++)
    queue.push({ id: "l", status: "Downloading", progressDetail: { current: i, total: 99 } });
  queue.push({ id: "l", status: "Pull complete", progressDetail: {} });
  const failing = queue.drain(Promise.reject(new Error("boom")));
  const got: ProgressMessage[] = [];
  await expect(
    (async () => {
      for await (const message of failing) got.push(message);
    })(),
  ).rejects.toThrow("boom");
  expect(got).toEqual([
    { id: "l", status: "Downloading", progressDetail: { current: 99, total: 99 } },
    { id: "l", status: "Pull complete", progressDetail: {} },
  ]);
});
