import { describe, expect, test } from "bun:test";
import { codeOf, TugError } from "../../../base/lib/errors.ts";
import { parseReference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { temporaryContent } from "../../content/testdata/temporary.ts";
import type { LayerEvent, RegistryClient } from "../distribution.ts";
import { ParallelImageFetcher } from "./image-fetcher.ts";

const ref = parseReference("registry.test/app:1");
const layer = (text: string): Descriptor => ({
  mediaType: mediaTypes.ociLayer,
  digest: digestOf(text),
  size: text.length,
});

/** A client whose downloads finish when the test says so. */
function setUp(maxConcurrent = 3) {
  const content = temporaryContent();
  const running = new Map<
    string,
    { finish(text: string): Promise<void>; fail(error: unknown): void; signal: AbortSignal }
  >();
  let started = Promise.withResolvers<void>();
  let calls = 0;
  const fetch: RegistryClient["fetch"] = async (_ref, blob, options) => {
    calls++;
    const gate = Promise.withResolvers<void>();
    const signal = options.signal ?? new AbortController().signal;
    signal.addEventListener("abort", () => gate.reject(signal.reason));
    options.onProgress?.(0, blob.size);
    running.set(blob.digest, {
      signal,
      fail: gate.reject,
      async finish(text) {
        options.onProgress?.(blob.size, blob.size);
        await content.store.put(new TextEncoder().encode(text), blob.mediaType);
        gate.resolve();
      },
    });
    started.resolve();
    started = Promise.withResolvers();
    await gate.promise.finally(() => running.delete(blob.digest));
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await started.promise;
  };
  return {
    fetcher: new ParallelImageFetcher({ client: { fetch }, content: content.store, maxConcurrent }),
    content: content.store,
    running,
    until,
    calls: () => calls,
    finish: (text: string) => running.get(digestOf(text))?.finish(text),
    [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
  };
}

describe("layers", () => {
  test("no more than the limit are fetched at once, over all pulls", async () => {
    await using at = setUp(2);
    const events: string[] = [];
    const onLayer = (each: Descriptor, event: LayerEvent) => events.push(`${each.size} ${event.kind}`);
    const first = at.fetcher.layers(ref, [layer("a"), layer("bb")], { onLayer });
    const second = at.fetcher.layers(ref, [layer("ccc")], { onLayer });
    await at.until(() => at.running.size === 2);
    expect(events).toContain("3 waiting");
    await at.finish("a");
    await first[0];
    await at.until(() => at.running.has(digestOf("ccc")));
    await at.finish("bb");
    await at.finish("ccc");
    await Promise.all([...first, ...second]);
    expect(events.filter((each) => each.endsWith("complete"))).toHaveLength(3);
  });

  test("two pulls of one layer share its download and both see it", async () => {
    await using at = setUp();
    const seen: [LayerEvent[], LayerEvent[]] = [[], []];
    const one = at.fetcher.layers(ref, [layer("shared")], { onLayer: (_, event) => seen[0].push(event) });
    const two = at.fetcher.layers(ref, [layer("shared")], { onLayer: (_, event) => seen[1].push(event) });
    await at.until(() => at.running.size === 1);
    await at.finish("shared");
    await Promise.all([...one, ...two]);
    expect(at.calls()).toBe(1);
    for (const each of seen) {
      expect(each).toContainEqual({ kind: "downloading", done: 6, total: 6 });
      expect(each.at(-1)).toEqual({ kind: "complete", already: false });
    }
    const events: LayerEvent[] = [];
    await Promise.all(
      at.fetcher.layers(ref, [layer("shared")], { onLayer: (_, event) => events.push(event) }),
    );
    expect(events).toEqual([{ kind: "complete", already: true }]);
  });

  test("one who leaves does not end the download of the other; the last one does", async () => {
    await using at = setUp();
    const [first, second] = [new AbortController(), new AbortController()];
    const one = at.fetcher.layers(ref, [layer("x")], { signal: first.signal });
    const two = at.fetcher.layers(ref, [layer("x")], { signal: second.signal });
    await at.until(() => at.running.size === 1);
    const { signal } = at.running.get(digestOf("x")) ?? {};
    first.abort();
    await expect(one[0]).rejects.toThrow("context canceled");
    expect(signal?.aborted).toBe(false);
    second.abort();
    await expect(two[0]).rejects.toThrow("context canceled");
    expect(signal?.aborted).toBe(true);
  });

  test("the first failure ends the other layers of its pull", async () => {
    await using at = setUp();
    const layers = at.fetcher.layers(ref, [layer("a"), layer("b")], {});
    await at.until(() => at.running.size === 2);
    at.running.get(digestOf("a"))?.fail(new TugError("data-loss", "bad"));
    const outcomes = await Promise.allSettled(layers);
    expect(outcomes.map((each) => each.status === "rejected" && codeOf(each.reason))).toEqual([
      "data-loss",
      "data-loss",
    ]);
    expect(at.running.size).toBe(0);
  });

  test("who joined a download that fails tries for itself", async () => {
    await using at = setUp();
    const one = at.fetcher.layers(ref, [layer("x")], {});
    const two = at.fetcher.layers(parseReference("other.test/app"), [layer("x")], {});
    await at.until(() => at.running.size === 1);
    at.running.get(digestOf("x"))?.fail(new TugError("unauthorized", "no"));
    await expect(one[0]).rejects.toThrow("no");
    await at.until(() => at.calls() === 2);
    await at.finish("x");
    await two[0];
  });

  test("every layer is leased before it is fetched", async () => {
    await using at = setUp();
    using lease = at.content.lease();
    const layers = at.fetcher.layers(ref, [layer("kept")], { lease });
    await at.until(() => at.running.size === 1);
    await at.finish("kept");
    await Promise.all(layers);
    expect(await at.content.collect(() => [])).toEqual([]);
  });
});

describe("the config", () => {
  test("is fetched, parsed, and must fit the manifest's layers", async () => {
    await using at = setUp();
    const text = JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [] },
    });
    const config = { ...layer(text), mediaType: mediaTypes.ociConfig };
    const image = { target: config, manifest: config, config, layers: [] };
    const fetching = at.fetcher.config(ref, image, {});
    await at.until(() => at.running.size === 1);
    await at.finish(text);
    expect((await fetching).architecture).toBe("amd64");
    const again = at.fetcher.config(ref, { ...image, layers: [layer("a")] }, {});
    await at.until(() => at.running.size === 1);
    await at.finish(text);
    await expect(again).rejects.toThrow("layers from manifest don't match image configuration");
    const huge = { ...image, config: { ...config, size: 1e9 } };
    await expect(at.fetcher.config(ref, huge, {})).rejects.toThrow("larger than");
  });
});
