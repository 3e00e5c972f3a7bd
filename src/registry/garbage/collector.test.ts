import { expect, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { openTestRegistry } from "../testdata/open.ts";

type Opened = ReturnType<typeof openTestRegistry>;
const hour = 3_600_000;
const run = { dryRun: false, orphans: false };

async function push(registry: Opened, name: string, text: string): Promise<string> {
  const reply = await registry.ask("POST", `/v2/${name}/blobs/uploads/?digest=${digestOf(text)}`, text);
  expect(reply.status).toBe(201);
  return digestOf(text);
}

async function put(registry: Opened, name: string, reference: string, members: object): Promise<string> {
  const body = JSON.stringify({ schemaVersion: 2, ...members });
  const where = reference === "" ? digestOf(body) : reference;
  const reply = await registry.ask("PUT", `/v2/${name}/manifests/${where}`, body, {
    "content-type": "application/json",
  });
  expect(reply.status).toBe(201);
  return digestOf(body);
}

const described = (digest: string, mediaType = "application/octet-stream") => ({
  mediaType,
  digest,
  size: 1,
});
const image = async (registry: Opened, name: string, reference: string, layer: string, more: object = {}) =>
  await put(registry, name, reference, {
    mediaType: mediaTypes.ociManifest,
    config: described(await push(registry, name, "config")),
    layers: [described(await push(registry, name, layer))],
    ...more,
  });
const has = async (registry: Opened, path: string) =>
  (await registry.ask("HEAD", `/v2/${path}`)).status === 200;

test("what nobody names goes when its time of grace is over, and a client that asks for it prolongs it", async () => {
  await using registry = openTestRegistry();
  const [old, asked] = [await push(registry, "a", "old"), await push(registry, "a", "asked")];
  expect(await registry.collector.collect(run)).toMatchObject({ links: 0, blobs: 0 });
  registry.advance(0.9 * hour);
  expect(await has(registry, `a/blobs/${asked}`)).toBe(true);
  registry.advance(0.2 * hour);
  expect(await registry.collector.collect(run)).toMatchObject({ links: 1, blobs: 1, bytes: 3 });
  expect([await has(registry, `a/blobs/${old}`), await has(registry, `a/blobs/${asked}`)]).toEqual([
    false,
    true,
  ]);
});

test("a blob stays while any repository needs it", async () => {
  await using registry = openTestRegistry();
  await image(registry, "a", "v1", "shared");
  await push(registry, "b", "shared");
  registry.advance(2 * hour);
  expect(await registry.collector.collect(run)).toMatchObject({ links: 1, blobs: 0 });
  expect(await has(registry, `a/blobs/${digestOf("shared")}`)).toBe(true);
  expect(await has(registry, `b/blobs/${digestOf("shared")}`)).toBe(false);
});

test("untagged manifests go after their time; those of an index, and those about a manifest that stays, do not", async () => {
  await using registry = openTestRegistry();
  const child = await image(registry, "a", "", "child");
  await put(registry, "a", "multi", {
    mediaType: mediaTypes.ociIndex,
    manifests: [described(child, mediaTypes.ociManifest)],
  });
  const tagged = await image(registry, "a", "v1", "tagged");
  const signature = await image(registry, "a", "", "signature", {
    subject: described(tagged, mediaTypes.ociManifest),
  });
  const lonely = await image(registry, "a", "", "lonely");
  registry.advance(25 * hour);
  const dry = await registry.collector.collect({ ...run, dryRun: true });
  const real = await registry.collector.collect(run);
  expect(real).toEqual(dry);
  expect(real).toMatchObject({ manifests: 1, links: 1, blobs: 2 });
  for (const [digest, stays] of [
    [child, true],
    [tagged, true],
    [signature, true],
    [lonely, false],
  ] as const) {
    expect(await has(registry, `a/manifests/${digest}`)).toBe(stays);
  }
  // What they hung on goes, and in one collection everything that hung on it.
  for (const tag of ["multi", "v1"]) await registry.ask("DELETE", `/v2/a/manifests/${tag}`);
  const rest = await registry.collector.collect({ ...run, dryRun: true });
  expect(rest).toMatchObject({ manifests: 4, links: 4, blobs: 8 });
  expect(await registry.collector.collect(run)).toEqual(rest);
  expect([...registry.content.list()]).toEqual([]);
  expect((await registry.ask("GET", "/v2/_catalog")).body.toString()).toBe('{"repositories":[]}\n');
});

test("what a cache holds goes when nobody has asked for it, and what stands beside the cache does not", async () => {
  await using registry = openTestRegistry({
    garbage: {
      graceMs: hour,
      untaggedAfterMs: undefined,
      uploadAfterMs: hour,
      unused: [{ prefix: "hub", afterMs: 48 * hour }],
    },
  });
  for (const name of ["hub/app", "hubs/app", "own"]) await image(registry, name, "v1", `layer of ${name}`);
  registry.advance(49 * hour);
  expect(await registry.collector.collect(run)).toMatchObject({ manifests: 1, links: 2, blobs: 2 });
  expect(await has(registry, "hub/app/manifests/v1")).toBe(false);
  for (const name of ["hubs/app", "own"]) expect(await has(registry, `${name}/manifests/v1`)).toBe(true);
});

test("unfinished uploads end with their bytes, and bytes that no record names are found when asked for", async () => {
  await using registry = openTestRegistry();
  const begun = await registry.ask("POST", "/v2/a/blobs/uploads/");
  const location = begun.headers["location"] ?? "";
  expect((await registry.ask("PATCH", location, "half")).status).toBe(202);
  writeFileSync(join(registry.root, "content/blobs/sha256", digestOf("orphan").slice(7)), "orphan");
  registry.advance(25 * hour);
  expect(await registry.collector.collect({ dryRun: true, orphans: true })).toMatchObject({
    orphans: 1,
    orphanBytes: 6,
  });
  expect(await registry.collector.collect({ dryRun: false, orphans: true })).toMatchObject({
    orphans: 1,
    uploads: 1,
  });
  expect((await registry.ask("GET", location)).status).toBe(404);
  expect(readdirSync(join(registry.root, "content/blobs/sha256"))).toEqual([]);
});

test("more rows than a window holds are gone through window by window", async () => {
  await using registry = openTestRegistry();
  for (let i = 0; i < 510; i++) await push(registry, `many/${i % 7}`, `blob ${i}`);
  registry.advance(2 * hour);
  expect(await registry.collector.collect(run)).toMatchObject({ links: 510, blobs: 510 });
}, 60_000);

test("a blob that a disk has lost or cut is said not to be there, and a push brings it back", async () => {
  await using registry = openTestRegistry();
  await image(registry, "a", "v1", "layer");
  const file = (text: string) => join(registry.root, "content/blobs/sha256", digestOf(text).slice(7));
  rmSync(file("layer"));
  writeFileSync(file("config"), "con");
  for (const text of ["layer", "config"]) {
    expect(await has(registry, `a/blobs/${digestOf(text)}`)).toBe(false);
    expect((await registry.ask("GET", `/v2/a/blobs/${digestOf(text)}`)).status).toBe(404);
    await push(registry, "a", text);
    expect((await registry.ask("GET", `/v2/a/blobs/${digestOf(text)}`)).body.toString()).toBe(text);
  }
  const manifest = (await registry.ask("HEAD", "/v2/a/manifests/v1")).headers["docker-content-digest"] ?? "";
  writeFileSync(join(registry.root, "content/blobs/sha256", manifest.slice(7)), "damaged");
  expect((await registry.ask("GET", "/v2/a/manifests/v1")).status).toBe(404);
  await image(registry, "a", "v1", "layer");
  expect((await registry.ask("GET", "/v2/a/manifests/v1")).status).toBe(200);
});
