import { expect, test } from "bun:test";
import { shortId } from "../../base/lib/ids.ts";
import { removeImage } from "./remove.ts";
import { ImageWorld } from "./testdata/fakes.ts";

const plain = { force: false, noPrune: false };
const forced = { force: true, noPrune: false };
const digest = `sha256:${"d".repeat(64)}`;

test("a name that is one of two only untags", async () => {
  const world = new ImageWorld();
  const image = world.images.make("a", { references: ["a:1", "a:2"] });
  expect(await removeImage(world.deps, "a:1", plain)).toEqual([{ Untagged: "a:1" }]);
  expect(world.images.get(image.id)?.tags).toEqual(["a:2"]);
  expect(world.events.map((event) => event.action)).toEqual(["untag"]);
});

test("the last name takes its digests, the image and its layers along, top layer first", async () => {
  const world = new ImageWorld();
  const image = world.images.make("a", { layers: ["l1", "l2"], references: ["a:1", `a@${digest}`] });
  const records = await removeImage(world.deps, "a:1", plain);
  expect(records.slice(0, 3)).toEqual([
    { Untagged: "a:1" },
    { Untagged: `a@${digest}` },
    { Deleted: image.id },
  ]);
  expect(records[3]).toEqual({ Deleted: image.chainId ?? "" });
  expect(records.length).toBe(5);
  expect(world.images.list()).toEqual([]);
  expect(world.events.map((event) => event.action)).toEqual(["untag", "delete"]);
});

test("names and record of an image go in one write, by name and by id", async () => {
  for (const by of ["name", "id"] as const) {
    const world = new ImageWorld();
    const image = world.images.make("a", { references: ["a:1", `a@${digest}`] });
    // What a daemon that dies leaves: what was there before a write, or after it.
    const seen: (readonly string[] | undefined)[] = [];
    const look = () => {
      const now = world.images.get(image.id);
      seen.push(now && [...now.tags, ...now.digests]);
    };
    const { atOnce } = world.images;
    world.images.atOnce = (change) => {
      look();
      atOnce.call(world.images, change);
      look();
    };
    await removeImage(world.deps, by === "name" ? "a:1" : shortId(image.id), plain);
    expect(seen).toEqual([["a:1", `a@${digest}`], undefined]);
  }
});

test("the only name of an image in use is refused, whatever state the container is in", async () => {
  const world = new ImageWorld();
  const image = world.images.make("a");
  world.users.set(image.id, [{ id: "c".repeat(64), running: false }]);
  await expect(removeImage(world.deps, "a", plain)).rejects.toThrow(
    `conflict: unable to remove repository reference "a" (must force) - container cccccccccccc is using its referenced image ${shortId(image.id)}`,
  );
  expect(world.images.get(image.id)?.tags).toEqual(["a:latest"]);
});

test("by force, the image of a stopped container goes; that of a running one only loses its name", async () => {
  const world = new ImageWorld();
  const stopped = world.images.make("stopped");
  world.users.set(stopped.id, [{ id: "c1".repeat(32), running: false }]);
  expect((await removeImage(world.deps, "stopped", forced)).length).toBe(3);
  const running = world.images.make("running");
  world.users.set(running.id, [{ id: "c2".repeat(32), running: true }]);
  expect(await removeImage(world.deps, "running", forced)).toEqual([{ Untagged: "running:latest" }]);
  expect(world.images.get(running.id)).toBeDefined();
});

test("an id is refused while running or stopped containers use it, each in its words", async () => {
  const world = new ImageWorld();
  const image = world.images.make("a");
  const short = shortId(image.id);
  world.users.set(image.id, [{ id: "c".repeat(64), running: true }]);
  for (const options of [plain, forced]) {
    await expect(removeImage(world.deps, short, options)).rejects.toThrow(
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container cccccccccccc`,
    );
  }
  world.users.set(image.id, [{ id: "c".repeat(64), running: false }]);
  await expect(removeImage(world.deps, short, plain)).rejects.toThrow(
    `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container cccccccccccc`,
  );
  expect((await removeImage(world.deps, short, forced)).length).toBe(3);
});

test("an id with names in several repositories must be forced", async () => {
  const world = new ImageWorld();
  const image = world.images.make("a", { references: ["a:1", "b:1"] });
  await expect(removeImage(world.deps, image.id, plain)).rejects.toThrow(
    `conflict: unable to delete ${shortId(image.id)} (must be forced) - image is referenced in multiple repositories`,
  );
  const records = await removeImage(world.deps, image.id, forced);
  expect(records.slice(0, 3)).toEqual([{ Untagged: "a:1" }, { Untagged: "b:1" }, { Deleted: image.id }]);
});

test("a parent of other images stays, and goes with its last child when nobody named it", async () => {
  const world = new ImageWorld();
  const parent = world.images.make("p", { references: [] });
  const child = world.images.make("c", { parent: parent.id });
  await expect(removeImage(world.deps, parent.id, forced)).rejects.toThrow(
    "image has dependent child images",
  );
  const records = await removeImage(world.deps, "c", plain);
  expect(records.filter((record) => record.Deleted).map((record) => record.Deleted)).toContain(parent.id);
  expect(world.images.list()).toEqual([]);
  const kept = world.images.make("p", { references: [] });
  world.images.make("c", { parent: kept.id });
  await removeImage(world.deps, child.id, { force: false, noPrune: true });
  expect(world.images.list().map((image) => image.id)).toEqual([kept.id]);
});

test("an unknown name is not found", async () => {
  await expect(removeImage(new ImageWorld().deps, "nope", plain)).rejects.toThrow(
    "No such image: nope:latest",
  );
});
