import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { codeOf, messageOf } from "../../../base/lib/errors.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { temporaryContent } from "../../content/testdata/temporary.ts";
import { HttpRegistryClient } from "../client.ts";
import type { RangeSettings } from "../registry-config.ts";
import { FakeRegistry, instantClock, noise, testConfig } from "../testdata/fake-registry.ts";

const eager: RangeSettings = {
  connections: 4,
  over: 100_000,
  window: 20,
  fast: Number.POSITIVE_INFINITY,
  least: 64 * 1024,
  most: 256 * 1024,
};
const size = 2_000_000;

function setUp(ranges: Partial<RangeSettings> = {}, mirrors: readonly string[] = []) {
  const content = temporaryContent();
  const registry = new FakeRegistry();
  const settings: RangeSettings = { ...eager, ...ranges };
  const client = () => {
    const config = testConfig({ ranges: { ...settings }, mirrors });
    return new HttpRegistryClient({ content: content.reopen(), clock: instantClock(), config });
  };
  return {
    registry,
    settings,
    content: content.store,
    blob: registry.addBlob(noise(size)),
    fetch: (blob: Descriptor, signal?: AbortSignal, onProgress?: (done: number, total: number) => void) =>
      client().fetch(registry.ref("app:1"), blob, { signal, onProgress }),
    ingest: join(content.root, "ingest"),
    partials: () => readdirSync(join(content.root, "ingest")),
    async [Symbol.asyncDispose]() {
      registry[Symbol.dispose]();
      await content[Symbol.asyncDispose]();
    },
  };
}

const outcome = (work: Promise<unknown>) =>
  work.then(
    () => "fetched",
    (error: unknown) => `${codeOf(error)}: ${messageOf(error)}`,
  );

describe("ranges of one large blob", () => {
  test("come over several connections where each is slow, and make one blob, each byte about once", async () => {
    await using at = setUp();
    at.registry.rate = 2_000_000;
    const told: number[] = [];
    const began = performance.now();
    await at.fetch(at.blob, undefined, (done) => told.push(done));
    expect(at.content.stat(at.blob.digest)?.size).toBe(size);
    expect(at.partials()).toEqual([]);
    expect(at.registry.requests.filter((each) => each.headers.has("range")).length).toBeGreaterThan(2);
    // What was on its way when the first connection was cut short.
    expect(at.registry.sent).toBeLessThan(size * 1.5);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    expect(told.at(-1)).toBe(size);
    console.log(`${Math.round(performance.now() - began)} ms for what one connection brings in 1000 ms`);
  });

  test("are not asked for where one connection is fast enough, or is all that is wanted", async () => {
    await using fast = setUp({ window: 1000 });
    await fast.fetch(fast.blob);
    expect(fast.registry.lines(/blobs/)).toHaveLength(1);
    await using one = setUp({ connections: 1 });
    one.registry.rate = 20_000_000;
    await one.fetch(one.blob);
    expect(one.registry.lines(/blobs/)).toHaveLength(1);
  });

  test("of a registry that ignores them are given up, and the first connection goes on", async () => {
    await using at = setUp();
    at.registry.ranges = false;
    at.registry.rate = 4_000_000;
    await at.fetch(at.blob);
    expect(at.content.stat(at.blob.digest)?.size).toBe(size);
    expect(at.registry.lines(/blobs/)).toHaveLength(2);
  });

  test("that begin elsewhere, or belong to a blob of another size, are not taken", async () => {
    for (const wrong of [`bytes 5-99/${size}`, `bytes 0-99/${size}`, `bytes X-99/${size + 1}`, "nonsense"]) {
      await using at = setUp();
      at.registry.rate = 4_000_000;
      at.registry.intercept = (request) => {
        const from = /^bytes=([0-9]+)-/.exec(request.headers.get("range") ?? "")?.[1];
        if (from === undefined) return undefined;
        const headers = { "Content-Range": wrong.replace("X", from) };
        return new Response(new Uint8Array(100), { status: 206, headers });
      };
      expect(await outcome(at.fetch(at.blob))).toBe("fetched");
    }
  });

  test("that are cut off leave what came, and only the rest is asked for again, by another process too", async () => {
    await using at = setUp();
    at.registry.rate = 2_000_000;
    const stop = new AbortController();
    let came = 0;
    const first = at.fetch(at.blob, stop.signal, (done) => {
      came = done;
      if (at.partials().length > 1) stop.abort();
    });
    expect(await outcome(first)).toStartWith("cancelled");
    expect(at.partials().length).toBeGreaterThan(1);
    expect(came).toBeGreaterThan(0);
    at.registry.requests.length = 0;
    at.registry.rate = undefined;
    // No range that was asked for is shared with another connection on a busy machine.
    Object.assign(at.settings, { window: 60_000 });
    let held: number | undefined;
    await at.fetch(at.blob, undefined, (done) => {
      held ??= done;
    });
    expect(held).toBeGreaterThanOrEqual(came);
    const asked = at.registry.requests.map((each) =>
      /^bytes=(\d+)-(\d*)$/.exec(each.headers.get("range") ?? ""),
    );
    const bytes = asked.map((range) => (range ? Number(range[2] || size - 1) + 1 - Number(range[1]) : 0));
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBe(size - (held ?? 0));
    expect(at.partials()).toEqual([]);
  });

  test("may fail one by one: the others bring what is missing", async () => {
    await using at = setUp();
    at.registry.rate = 2_000_000;
    let refused = 0;
    at.registry.intercept = (request, url) => {
      if (
        !url.pathname.includes("/blobs/") ||
        !request.headers.has("range") ||
        at.registry.lines(/blobs/).length < 4
      )
        return undefined;
      if (refused++ > 2) return undefined;
      return new Response("no", { status: 503 });
    };
    expect(await outcome(at.fetch(at.blob))).toBe("fetched");
    expect(refused).toBeGreaterThan(0);
  });

  test("with a flipped bit are data-loss; a partial that was continued is fetched anew once", async () => {
    await using at = setUp();
    at.registry.rate = 2_000_000;
    const good = at.registry.blobs.get(at.blob.digest) ?? new Uint8Array();
    const bad = good.slice();
    bad[size - 10_000] = (bad[size - 10_000] ?? 0) ^ 1;
    at.registry.blobs.set(at.blob.digest, bad);
    expect(await outcome(at.fetch(at.blob))).toBe(
      `data-loss: filesystem layer verification failed for digest ${at.blob.digest}`,
    );
    expect(at.partials()).toEqual([]);
    const stop = new AbortController();
    const stopped = at.fetch(at.blob, stop.signal, (done) => {
      if (done > size * 0.9) stop.abort();
    });
    expect(await outcome(stopped)).toStartWith("cancelled");
    at.registry.blobs.set(at.blob.digest, good);
    at.registry.rate = undefined;
    expect(await outcome(at.fetch(at.blob))).toBe("fetched");
    expect(at.partials()).toEqual([]);
  });

  test("that fill the disk are resource-exhausted and give their room back", async () => {
    await using at = setUp();
    at.registry.rate = 2_000_000;
    if (Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", at.ingest]).exitCode !== 0) {
      return console.log("skipped: mounting a tmpfs needs root");
    }
    try {
      expect(await outcome(at.fetch(at.blob))).toMatch(/^resource-exhausted: .*no space left on device/);
      expect(at.partials()).toEqual([]);
    } finally {
      Bun.spawnSync(["umount", at.ingest]);
    }
  });

  test("a body that is shorter or longer than the descriptor says is data-loss", async () => {
    await using at = setUp();
    const bytes = at.registry.blobs.get(at.blob.digest) ?? new Uint8Array();
    at.registry.ranges = false;
    for (const wrong of [bytes.subarray(0, size - 1), new Uint8Array([...bytes, 0])]) {
      at.registry.blobs.set(at.blob.digest, wrong);
      expect(await outcome(at.fetch(at.blob))).toStartWith("data-loss");
      expect(at.partials()).toEqual([]);
    }
  });
});
