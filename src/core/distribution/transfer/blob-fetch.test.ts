import { describe, expect, test } from "bun:test";
import { parseReference } from "../../../base/spec/docker/reference.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { failed, setUp } from "../testdata/client-bench.ts";
import { CuttingProxy } from "../testdata/cutting-proxy.ts";
import { FakeRegistry, failure, noise } from "../testdata/fake-registry.ts";

describe("fetching blobs", () => {
  test("a blob arrives with progress, and once", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob(noise(3_000_000));
    const seen: number[] = [];
    const onProgress = (done: number) => seen.push(done);
    await at.client.fetch(at.registry.ref("app"), blob, { onProgress });
    await at.client.fetch(at.registry.ref("app"), blob, {});
    expect(at.content.stat(blob.digest)?.size).toBe(3_000_000);
    expect([seen[0], seen.at(-1)]).toEqual([0, 3_000_000]);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(at.registry.lines(/blobs/)).toHaveLength(1);
    expect(at.partials()).toEqual([]);
  });

  test("a registry that limits its clients is asked again when it said, and not at all when that is too late", async () => {
    await using at = setUp();
    const { layers } = at.registry.addImage("app", "1", ["one"]);
    const limited = (after: string, times: number) => {
      at.clock.slept.length = 0;
      let left = times;
      at.registry.intercept = (request, url) => {
        if (request.method !== "GET" || !/blobs|manifests/.test(url.pathname)) return undefined;
        if (left-- <= 0) return undefined;
        const answer = failure(429, "TOOMANYREQUESTS", "slow down");
        answer.headers.set("Retry-After", after);
        return answer;
      };
    };
    limited("7", 3);
    await at.client.resolve(at.registry.ref("app:1"), {});
    expect(at.clock.slept).toEqual([7000, 7000, 7000]);
    const [layer] = layers;
    if (!layer) throw new Error("no layer");
    const seconds: number[] = [];
    limited(new Date(Date.now() + 30_000).toUTCString(), 1);
    await at.client.fetch(at.registry.ref("app"), layer, { onRetry: (_, after) => seconds.push(after) });
    expect(seconds[0]).toBeGreaterThan(20);
    expect(at.clock.slept).toEqual(seconds.map((each) => each * 1000));
    // Zero is no invitation to hammer it; an hour is not waited for.
    at.registry.addImage("other", "1", ["two"]);
    limited("0", 2);
    await at.client.resolve(at.registry.ref("other:1"), {});
    expect(at.clock.slept).toEqual([1000, 2000]);
    at.registry.addImage("third", "1", ["three"]);
    limited("3600", 1);
    expect((await failed(at.client.resolve(at.registry.ref("third:1"), {}))).message).toContain(
      "toomanyrequests: slow down (the registry asks to come back in 3600 seconds)",
    );
    expect(at.clock.slept).toEqual([]);
  });

  test("a blob is tried as often as the configuration says", async () => {
    await using at = setUp({ maxDownloadAttempts: 2 });
    const blob = at.registry.addBlob("never");
    at.registry.intercept = (_, url) =>
      url.pathname.includes("blobs") ? new Response("", { status: 500 }) : undefined;
    expect((await failed(at.client.fetch(at.registry.ref("app"), blob, {}))).message).toContain(
      "download failed after attempts=2: ",
    );
    expect(at.registry.lines(/blobs/)).toHaveLength(2);
  });

  test("an empty blob arrives", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob("");
    await at.client.fetch(at.registry.ref("app"), blob, {});
    expect(at.content.stat(blob.digest)?.size).toBe(0);
  });

  test("a download that is cut again and again continues where it was", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob(noise(4_000_000));
    const target = Number(at.registry.host.split(":")[1]);
    await using proxy = await CuttingProxy.before(target, { direction: "down", after: 500_000, times: 7 });
    const retries: number[] = [];
    await at.client.fetch(parseReference(`127.0.0.1:${proxy.port}/app`), blob, {
      onRetry: (_, seconds) => retries.push(seconds),
    });
    expect(at.content.stat(blob.digest)?.size).toBe(4_000_000);
    expect(proxy.cuts).toBe(7);
    expect(retries).toEqual([1, 1, 1, 1, 1, 1, 1]);
    const ranges = at.registry.requests
      .map((each) => each.headers.get("range"))
      .filter((each) => each !== null);
    expect(ranges).toHaveLength(7);
    expect(new Set(ranges).size).toBe(7);
  });

  test("a partial of an earlier process is continued", async () => {
    await using at = setUp();
    const bytes = noise(1_000_000);
    const blob = at.registry.addBlob(bytes);
    {
      await using ingest = await at.content.ingest(`blob-${blob.digest}`, blob);
      await ingest.write(bytes.subarray(0, 600_000));
    }
    await at.client.fetch(at.registry.ref("app"), blob, {});
    expect(at.registry.requests.at(-1)?.headers.get("range")).toBe("bytes=600000-");
    expect(at.content.stat(blob.digest)).toBeDefined();
  });

  test("a partial that went bad is thrown away and the blob fetched whole", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob(noise(100_000));
    {
      await using ingest = await at.content.ingest(`blob-${blob.digest}`, blob);
      await ingest.write(new Uint8Array(60_000));
    }
    await at.client.fetch(at.registry.ref("app"), blob, {});
    expect(at.content.stat(blob.digest)).toBeDefined();
    expect(at.registry.lines(/blobs/)).toHaveLength(2);
  });

  test("a server that ignores ranges makes the download start again", async () => {
    await using at = setUp();
    const bytes = noise(100_000);
    const blob = at.registry.addBlob(bytes);
    {
      await using ingest = await at.content.ingest(`blob-${blob.digest}`, blob);
      await ingest.write(bytes.subarray(0, 60_000));
    }
    at.registry.intercept = (_, url) => (url.pathname.includes("/blobs/") ? new Response(bytes) : undefined);
    await at.client.fetch(at.registry.ref("app"), blob, {});
    expect(at.content.stat(blob.digest)).toBeDefined();
  });

  test("wrong bytes are data-loss, are not retried, and leave nothing", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob("expected");
    for (const wrong of ["received", "short", "much longer than expected"]) {
      at.registry.intercept = (_, url) =>
        url.pathname.includes("/blobs/") ? new Response(wrong) : undefined;
      expect(await failed(at.client.fetch(at.registry.ref("app"), blob, {}))).toEqual({
        code: "data-loss",
        message: `filesystem layer verification failed for digest ${blob.digest}`,
      });
    }
    expect(at.content.stat(blob.digest)).toBeUndefined();
    at.registry.intercept = () => undefined;
    await at.client.fetch(at.registry.ref("app"), blob, {});
    expect(at.partials()).toEqual([]);
  });

  test("a failing registry is tried five times with growing pauses", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob("x");
    at.registry.intercept = (_, url) =>
      url.pathname.includes("/blobs/") ? new Response("", { status: 503 }) : undefined;
    const { code, message } = await failed(at.client.fetch(at.registry.ref("app"), blob, {}));
    expect(code).toBe("unavailable");
    expect(message).toContain("download failed after attempts=5: received unexpected HTTP status: 503");
    expect(at.clock.slept).toEqual([1000, 2000, 4000, 8000]);
  });

  test("an abort ends a download at once and keeps what came", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob(noise(1_000_000));
    const bytes = at.registry.blobs.get(blob.digest) ?? new Uint8Array();
    at.registry.intercept = (_, url) => {
      if (!url.pathname.includes("/blobs/")) return undefined;
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(bytes.slice(0, 300_000)),
        }),
      );
    };
    const controller = new AbortController();
    const work = at.client.fetch(at.registry.ref("app"), blob, {
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 300_000) controller.abort(new Error("Ctrl-C"));
      },
    });
    expect((await failed(work)).code).toBe("cancelled");
    await using ingest = await at.content.ingest(`blob-${blob.digest}`, blob);
    expect(ingest.offset).toBe(300_000);
  });

  test("a foreign layer the registry lacks comes from its urls, without credentials", async () => {
    await using at = setUp();
    using elsewhere = new FakeRegistry();
    elsewhere.intercept = () => new Response("foreign bytes");
    const blob = {
      mediaType: mediaTypes.dockerForeignLayer,
      digest: digestOf("foreign bytes"),
      size: 13,
      urls: ["ftp://x/y", "not a url", `${elsewhere.origin}/layer`],
    };
    await at.client.fetch(at.registry.ref("app"), blob, { auth: { username: "u", password: "p" } });
    expect(at.content.stat(blob.digest)).toBeDefined();
    expect(elsewhere.requests[0]?.headers.get("authorization")).toBeNull();
    const plain = { ...blob, mediaType: mediaTypes.ociLayer, digest: digestOf("other") };
    expect((await failed(at.client.fetch(at.registry.ref("app"), plain, {}))).code).toBe("not-found");
  });
});
