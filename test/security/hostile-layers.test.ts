import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { growth } from "../harness/memory.ts";
import { withSubordinateIds } from "../harness/subordinate-ids.ts";
import { Canary, stored, unchanged } from "./hostile/guard.ts";
import { dockerArchive, FakeRegistry, imageOf, imageWith, tarOf } from "./hostile/images.ts";
import { baseLayer, hostileLayers, type Layer } from "./hostile/layers.ts";
import { listing } from "./hostile/listing.ts";

/**
 * CVE-2025-47290, CVE-2021-32760 and their like: every way that a layer can lie. Each is either taken with the result that is written
 * beside it, or refused in words; either way the host is as it was, memory is bounded, and nothing is left. TUG_HOSTILE_ENTRIES=100000
 * makes the long ones longer; TUG_HOSTILE=<part of a name> picks.
 */
const account = "bin";
const picked = process.env["TUG_HOSTILE"] ?? "";
/** For the daemon and the helpers that unpack, over what the daemon held before. */
const allowed = 256 << 20;

interface Way {
  readonly daemon: TestDaemon;
  readonly take: (layer: Layer) => Promise<string>;
}

let plain: TestDaemon;
let mapped: TestDaemon;
let canary: Canary;
let registry: FakeRegistry;
let base: Buffer;
const release: (() => void)[] = [];

beforeAll(async () => {
  registry = new FakeRegistry();
  plain = await TestDaemon.start({ busybox: false });
  canary = new Canary(join(plain.root, "canary"));
  base = baseLayer(canary.path);
  const ids = withSubordinateIds(account, 1_300_000);
  release.push(ids.release);
  mapped = await TestDaemon.start({
    busybox: false,
    root: ids.openRoot(mkdtempSync("/tmp/tug-e2e-")),
    flags: ["--userns-remap", account],
  });
  const archive = dockerArchive(imageOf([{ tar: base, blob: base }]), "base:1");
  for (const daemon of [plain, mapped])
    expect(await post(daemon, "/images/load", archive)).toContain("base:1");
}, 120_000);
afterAll(async () => {
  registry[Symbol.dispose]();
  await plain.close();
  await mapped.close();
  for (const each of release) each();
}, 120_000);

async function post(daemon: TestDaemon, path: string, body: Uint8Array): Promise<string> {
  const reply = await fetch(`http://tug${path}`, {
    unix: daemon.socket,
    method: "POST",
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(120_000),
  });
  return await reply.text();
}

const layers = () => hostileLayers(canary.path).filter(({ name }) => name.includes(picked));
const quick = () => layers().filter(({ slow }) => !slow);
const refusal = (reply: string) => /"(?:message|error)":"((?:[^"\\]|\\.)*)"/.exec(reply)?.[1];

/** What an image's own layer holds on disk. */
async function upperOf(daemon: TestDaemon, name: string): Promise<string> {
  const { body } = await daemon.api("GET", `/images/${name}/json`);
  return (body as { GraphDriver: { Data: { UpperDir: string } } }).GraphDriver.Data.UpperDir;
}

async function remove(daemon: TestDaemon, name: string): Promise<void> {
  const { status, body } = await daemon.api("DELETE", `/images/${name}?force=1`);
  expect([status, body]).toEqual([200, expect.anything()]);
}

async function attack({ daemon, take }: Way, chosen: readonly Layer[]): Promise<void> {
  const before = stored(daemon);
  const wrong: unknown[] = [];
  for (const layer of chosen) {
    const grown = await growth(daemon, async () => {
      const message = refusal(await take(layer));
      canary.check();
      if (message !== undefined) {
        const expected = layer.refused ?? layer.either;
        if (!expected?.test(message)) wrong.push({ layer: layer.name, refused: message });
        return;
      }
      const upper = await upperOf(daemon, "hostile:1");
      if (layer.refused) wrong.push({ layer: layer.name, taken: listing(upper) });
      else if (layer.tree) {
        const found = listing(upper);
        if (!Bun.deepEquals(found, [...layer.tree].sort())) wrong.push({ layer: layer.name, found });
      }
      await remove(daemon, "hostile:1");
    });
    await unchanged(daemon, before, layer.name);
    if (grown > allowed) wrong.push({ layer: layer.name, grown });
  }
  expect(wrong).toEqual([]);
  expect(await daemon.ping()).toBe(true);
}

test("a hostile layer is taken as defined, or refused by load, and the host is as it was", async () => {
  expect(layers().length).toBeGreaterThan(picked === "" ? 100 : 0);
  const take = (layer: Layer) =>
    post(plain, "/images/load?quiet=1", dockerArchive(imageWith(base, layer), "hostile:1"));
  await attack({ daemon: plain, take }, layers());
}, 600_000);

test("the same as the whole root of an import", async () => {
  const before = stored(plain);
  for (const layer of quick()) {
    const tar = tarOf(layer);
    const reply = await post(
      plain,
      "/images/create?fromSrc=-&repo=hostile&tag=1",
      layer.packed ? layer.packed(tar) : tar,
    );
    canary.check();
    // Without the layer below some names mean something else; a refusal says why.
    const message = refusal(reply);
    if (message === undefined) await remove(plain, "hostile:1");
    else expect([layer.name, message]).toEqual([layer.name, expect.stringMatching(/\S{3}/)]);
    await unchanged(plain, before, layer.name);
  }
}, 600_000);

test("the same pulled from a registry by a daemon with --userns-remap", async () => {
  const take = async (layer: Layer) => {
    registry.image("latest", imageWith(base, layer));
    const reply = await post(
      mapped,
      `/images/create?fromImage=${registry.address}/hostile&tag=latest`,
      Buffer.alloc(0),
    );
    if (refusal(reply) === undefined) {
      await mapped.api("POST", `/images/${registry.address}/hostile/tag?repo=hostile&tag=1`);
      await remove(mapped, `${registry.address}/hostile`);
    }
    return reply;
  };
  await attack({ daemon: mapped, take }, quick());
}, 600_000);
