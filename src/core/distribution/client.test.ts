import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { codeOf, messageOf } from "../../base/lib/errors.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { temporaryContent } from "../content/temporary.ts";
import { HttpRegistryClient } from "./client.ts";
import type { RegistryConfig } from "./registry-config.ts";
import { CuttingProxy } from "./testdata/cutting-proxy.ts";
import { FakeRegistry, failure, instantClock, noise, testConfig } from "./testdata/fake-registry.ts";

function setUp(change: Partial<RegistryConfig> = {}) {
  const content = temporaryContent();
  const clock = instantClock();
  const registry = new FakeRegistry();
  const client = new HttpRegistryClient({ content: content.store, clock, config: testConfig(change) });
  return {
    content: content.store,
    root: content.root,
    clock,
    registry,
    client,
    partials: () => readdirSync(join(content.root, "ingest")),
    async [Symbol.asyncDispose]() {
      registry[Symbol.dispose]();
      await content[Symbol.asyncDispose]();
    },
  };
}

async function failed(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await work;
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
  throw new Error("it did not fail");
}

describe("resolving", () => {
  test("a tag of one image gives its manifest, config and layers, and keeps the document", async () => {
    await using at = setUp();
    const image = at.registry.addImage("app", "1", ["one", "two"]);
    const found = await at.client.resolve(at.registry.ref("app:1"), {});
    expect(found).toEqual({
      target: image.manifest,
      manifest: image.manifest,
      config: image.config,
      layers: image.layers,
    });
    expect(at.content.stat(image.manifest.digest)?.size).toBe(image.manifest.size);
    expect(at.registry.requests.every((each) => each.headers.get("user-agent") === "tug/test")).toBe(true);
  });

  test("a document that is here already does not travel again", async () => {
    await using at = setUp();
    at.registry.addImage("app", "1", ["one"]);
    await at.client.resolve(at.registry.ref("app:1"), {});
    await at.client.resolve(at.registry.ref("app:1"), {});
    expect(at.registry.lines(/^GET .*manifests/)).toHaveLength(1);
    expect(at.registry.lines(/^HEAD .*manifests/)).toHaveLength(2);
  });

  test("an index gives the manifest of the platform", async () => {
    await using at = setUp();
    const amd64 = at.registry.addImage("app", undefined, ["a"], { os: "linux", architecture: "amd64" });
    const arm = at.registry.addImage("app", undefined, ["b"], {
      os: "linux",
      architecture: "arm",
      variant: "v7",
    });
    const index = at.registry.addDocument("app", "1", mediaTypes.ociIndex, {
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [amd64.manifest, arm.manifest],
    });
    const platform = { os: "linux", architecture: "arm64" };
    const found = await at.client.resolve(at.registry.ref("app:1"), { platform });
    expect(found.target).toEqual(index);
    expect(found.manifest.digest).toBe(arm.manifest.digest);
    const wanted = { os: "linux", architecture: "s390x" };
    expect(await failed(at.client.resolve(at.registry.ref("app:1"), { platform: wanted }))).toEqual({
      code: "not-found",
      message: "no matching manifest for linux/s390x in the manifest list entries",
    });
    expect((await at.client.describe(at.registry.ref("app:1"), {})).platforms).toHaveLength(2);
  });

  test("an index that lists itself for ever ends", async () => {
    await using at = setUp();
    let inner = at.registry.addImage("app", undefined, ["a"]).manifest;
    for (let depth = 0; depth < 5; depth++) {
      inner = at.registry.addDocument("app", "1", mediaTypes.ociIndex, {
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [inner],
      });
    }
    expect((await failed(at.client.resolve(at.registry.ref("app:1"), {}))).message).toContain(
      "nested too deeply",
    );
  });

  test("what is missing is named as dockerd names it", async () => {
    await using at = setUp();
    const { host } = at.registry;
    expect(await failed(at.client.resolve(at.registry.ref("x:y"), {}))).toEqual({
      code: "not-found",
      message: `manifest for ${host}/x:y not found: manifest unknown: manifest unknown (check name and tag: the registry has no such image)`,
    });
    at.registry.intercept = (_, url) =>
      url.pathname.includes("manifests")
        ? failure(403, "DENIED", "requested access to the resource is denied")
        : undefined;
    expect(await failed(at.client.resolve(at.registry.ref("x:y"), {}))).toEqual({
      code: "not-found",
      message: `pull access denied for ${host}/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    });
    at.registry.intercept = () => new Response("<html>", { status: 502, statusText: "Bad Gateway" });
    expect(await failed(at.client.resolve(at.registry.ref("z:y"), {}))).toEqual({
      code: "unavailable",
      message: expect.stringContaining("received unexpected HTTP status: 502") as unknown as string,
    });
  });

  test("a rate limit and a page that is no registry's are said as dockerd says them", async () => {
    await using at = setUp();
    const answer = (response: () => Response) => {
      at.registry.intercept = (_, url) => (url.pathname === "/v2/" ? undefined : response());
    };
    answer(() => failure(429, "TOOMANYREQUESTS", "You have reached your pull rate limit."));
    const limited = await failed(at.client.resolve(at.registry.ref("x:y"), {}));
    expect(limited.message).toBe(
      `toomanyrequests: You have reached your pull rate limit. (${at.registry.host} limits how much it serves: wait, log in if you have not, or use a mirror)`,
    );
    answer(() => new Response("<html>oops", { status: 404 }));
    const page = await failed(at.client.resolve(at.registry.ref("x:y"), {}));
    expect(page.message).toBe(
      `error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: "<html>oops"`,
    );
  });

  test("schema 1, artifacts, ambiguous documents and lying content types are refused", async () => {
    await using at = setUp();
    const { document } = at.registry.addImage("app", "ok", ["a"]);
    const put = (tag: string, type: string, value: unknown) =>
      at.registry.addDocument("app", tag, type, value);
    put("old", mediaTypes.dockerSchema1Signed, { schemaVersion: 1, name: "x", fsLayers: [] });
    put("both", mediaTypes.ociManifest, { ...document, manifests: [] });
    put("type", mediaTypes.dockerManifest, document);
    put("chart", mediaTypes.ociManifest, {
      ...document,
      config: { ...document.config, mediaType: "application/vnd.cncf.helm.config.v1+json" },
    });
    put("path", mediaTypes.ociManifest, {
      ...document,
      layers: [{ ...document.layers[0], digest: "sha256:../../../../etc/passwd" }],
    });
    put("huge", mediaTypes.ociManifest, `{"schemaVersion":2,"x":"${"a".repeat(5 << 20)}"}`);
    const of = async (tag: string) => await failed(at.client.resolve(at.registry.ref(`app:${tag}`), {}));
    expect((await of("old")).message).toContain(
      `schema 1 support has been removed. Suggest the author of ${at.registry.host}/app:old`,
    );
    expect((await of("both")).message).toContain("ambiguous manifest");
    expect((await of("type")).message).toContain("mediaType in manifest should be");
    expect((await of("chart")).message).toBe(
      "unsupported media type application/vnd.cncf.helm.config.v1+json",
    );
    expect((await of("path")).message).toContain("invalid digest");
    expect((await of("huge")).message).toContain("larger than");
    // Nothing of them is kept but the ones that are well formed.
    for (const blob of at.content.list()) expect(blob.size).toBeLessThan(4 << 20);
  });

  test("a manifest that is not what its digest says is refused", async () => {
    await using at = setUp();
    const image = at.registry.addImage("app", "1", ["a"]);
    at.registry.intercept = (request, url) =>
      request.method === "GET" && url.pathname.includes("/manifests/")
        ? new Response('{"schemaVersion":2}', { headers: { "Content-Type": mediaTypes.ociManifest } })
        : undefined;
    for (const name of ["app:1", `app@${image.manifest.digest}`]) {
      expect(await failed(at.client.resolve(at.registry.ref(name), {}))).toEqual({
        code: "data-loss",
        message: `manifest verification failed for digest ${image.manifest.digest}`,
      });
    }
  });

  test("tags are listed over all pages, and a list that leads elsewhere or nowhere ends", async () => {
    await using at = setUp();
    at.registry.intercept = (_, url) => {
      if (!url.pathname.endsWith("/tags/list")) return undefined;
      if (url.searchParams.get("last") === "b")
        return Response.json({ name: "app", tags: ["c", "../evil", 7] });
      return Response.json(
        { name: "app", tags: ["a", "b"] },
        { headers: { Link: '</v2/app/tags/list?last=b&n=2>; rel="next"' } },
      );
    };
    expect(await at.client.listTags(at.registry.ref("app"), {})).toEqual(["a", "b", "c"]);
    at.registry.intercept = (_, url) =>
      url.pathname.endsWith("/tags/list")
        ? Response.json({ tags: ["a"] }, { headers: { Link: '<http://127.0.0.1:1/v2/>; rel="next"' } })
        : undefined;
    expect(await at.client.listTags(at.registry.ref("app"), {})).toEqual(["a"]);
  });
});

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

describe("authentication", () => {
  const basic = `Basic ${Buffer.from("user:secret").toString("base64")}`;

  test("a token is fetched once for a pull and renewed when it has ended", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    at.registry.addImage("app", "1", ["one", "two"]);
    let issued = 0;
    tokens.intercept = (request, url) => {
      expect(url.searchParams.get("service")).toBe("registry.test");
      expect(url.searchParams.getAll("scope")).toEqual(["repository:app:pull"]);
      expect(url.searchParams.get("account")).toBe("user");
      if (request.headers.get("authorization") !== basic) {
        return Response.json(
          { errors: [{ code: "UNAUTHORIZED", message: "incorrect username or password" }] },
          { status: 401 },
        );
      }
      return Response.json({ token: `token-${++issued}`, expires_in: 300 });
    };
    at.registry.intercept = (request, url) => {
      if (
        url.pathname === "/v2/" ||
        request.headers.get("authorization") !== `Bearer token-${issued}` ||
        issued === 0
      ) {
        return new Response("{}", {
          status: 401,
          headers: { "WWW-Authenticate": `Bearer realm="${tokens.origin}/token",service="registry.test"` },
        });
      }
      return undefined;
    };
    const ref = at.registry.ref("app:1");
    const auth = { username: "user", password: "secret" };
    const image = await at.client.resolve(ref, { auth });
    for (const layer of image.layers) await at.client.fetch(ref, layer, { auth });
    expect(issued).toBe(1);
    at.clock.skip(400_000);
    await at.client.fetch(ref, image.config, { auth });
    expect(issued).toBe(2);
    const wrong = await failed(at.client.resolve(ref, { auth: { username: "user", password: "wrong" } }));
    expect(wrong.code).toBe("unauthorized");
    expect(wrong.message).toBe(
      `Head "${at.registry.origin}/v2/app/manifests/1": unauthorized: incorrect username or password (log in with: tug login ${at.registry.host})`,
    );
  });

  test("a refused scope is access denied, in dockerd's words", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    tokens.intercept = () => Response.json({ access_token: "t" });
    at.registry.intercept = () =>
      new Response("{}", {
        status: 401,
        headers: {
          "WWW-Authenticate": `Bearer realm="${tokens.origin}/",service="s",scope="repository:app:pull",error="insufficient_scope"`,
        },
      });
    expect((await failed(at.client.resolve(at.registry.ref("app:1"), {}))).message).toBe(
      `pull access denied for ${at.registry.host}/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    );
    expect(tokens.requests.length).toBeLessThanOrEqual(2);
  });

  test("an identity token is posted as a refresh token", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    at.registry.addImage("app", "1", ["one"]);
    let form: URLSearchParams | undefined;
    tokens.intercept = async (request) => {
      form = new URLSearchParams(await request.text());
      return Response.json({ access_token: "good" });
    };
    at.registry.intercept = (request) =>
      request.headers.get("authorization") === "Bearer good"
        ? undefined
        : new Response("", {
            status: 401,
            headers: { "WWW-Authenticate": `Bearer realm="${tokens.origin}/token"` },
          });
    await at.client.resolve(at.registry.ref("app:1"), { auth: { identitytoken: "refresh-me" } });
    expect(tokens.lines(/./)).toEqual(["POST /token"]);
    expect(Object.fromEntries(form ?? [])).toEqual({
      grant_type: "refresh_token",
      refresh_token: "refresh-me",
      client_id: "docker",
      scope: "repository:app:pull",
    });
  });

  test("a redirect to another host does not carry credentials", async () => {
    await using at = setUp();
    using storage = new FakeRegistry();
    const blob = at.registry.addBlob("layer");
    storage.intercept = () => new Response("layer");
    at.registry.intercept = (request, url) => {
      if (request.headers.get("authorization") !== basic) {
        return new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
      }
      if (!url.pathname.includes("/blobs/")) return undefined;
      return new Response("", { status: 307, headers: { Location: `${storage.origin}/data?X-Signature=1` } });
    };
    await at.client.fetch(at.registry.ref("app"), blob, { auth: { username: "user", password: "secret" } });
    expect(storage.requests).toHaveLength(1);
    expect(storage.requests[0]?.headers.get("authorization")).toBeNull();
    expect(at.content.stat(blob.digest)).toBeDefined();
  });

  test("redirects without end, or to something that is not HTTP, fail", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob("layer");
    for (const location of ["/v2/app/blobs/again", "file:///etc/passwd", "http://["]) {
      at.registry.intercept = (_, url) =>
        url.pathname === "/v2/"
          ? undefined
          : new Response("", { status: 302, headers: { Location: location } });
      expect((await failed(at.client.fetch(at.registry.ref("app"), blob, {}))).code).toBe("unavailable");
    }
  });

  test("credentials given for the registry are not sent to a mirror", async () => {
    using mirror = new FakeRegistry();
    await using at = setUp({ mirrors: [mirror.origin] });
    mirror.addImage("library/busybox", "latest", ["one"]);
    const image = await at.client.resolve(parseReference("busybox:latest"), {
      auth: { username: "user", password: "secret" },
    });
    await at.client.fetch(parseReference("busybox"), image.config, {});
    expect(mirror.requests.every((each) => each.headers.get("authorization") === null)).toBe(true);
    expect(at.content.stat(image.config.digest)).toBeDefined();
  });

  test("login tells a good password from a bad one and returns an identity token", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    tokens.intercept = (request, url) => {
      if (request.headers.get("authorization") !== basic) {
        return Response.json({ details: "incorrect username or password" }, { status: 401 });
      }
      expect(url.searchParams.get("offline_token")).toBe("true");
      return Response.json({ token: "good", refresh_token: "keep-me" });
    };
    at.registry.intercept = (request) =>
      request.headers.get("authorization") === "Bearer good"
        ? undefined
        : new Response("", {
            status: 401,
            headers: { "WWW-Authenticate": `Bearer realm="${tokens.origin}/"` },
          });
    expect(await at.client.login(at.registry.host, { username: "user", password: "secret" })).toEqual({
      status: "Login Succeeded",
      identityToken: "keep-me",
    });
    expect(
      await failed(at.client.login(`http://${at.registry.host}/v1/`, { username: "user", password: "no" })),
    ).toEqual({
      code: "unauthorized",
      message: `Get "${at.registry.origin}/v2/": unauthorized: incorrect username or password (check user name and password, or use an access token)`,
    });
  });
});

describe("reaching registries", () => {
  test("nobody there is said in dockerd's words", async () => {
    await using at = setUp();
    expect(await failed(at.client.resolve(parseReference("localhost:1/x:y"), {}))).toEqual({
      code: "unavailable",
      message:
        'Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused (nothing listens there: check the port, and that the registry runs)',
    });
  });

  test("a broken mirror is passed over for the next one", async () => {
    using bad = new FakeRegistry();
    using good = new FakeRegistry();
    bad.intercept = () => new Response("", { status: 500 });
    good.addImage("library/busybox", "1", ["layer"]);
    await using at = setUp({ mirrors: ["http://127.0.0.1:1", bad.origin, `${good.origin}/`] });
    const image = await at.client.resolve(parseReference("busybox:1"), {});
    // It may also serve wrong bytes.
    bad.intercept = (_, url) => (url.pathname === "/v2/" ? undefined : new Response("wrong"));
    for (const layer of image.layers) await at.client.fetch(parseReference("busybox"), layer, {});
    expect(at.content.stat(image.layers[0]?.digest ?? digestOf(""))).toBeDefined();
  });

  test("an insecure registry is asked for TLS first and remembered to have none", async () => {
    await using at = setUp();
    at.registry.addImage("app", "1", ["a", "b", "c"]);
    const image = await at.client.resolve(at.registry.ref("app:1"), {});
    for (const layer of image.layers) await at.client.fetch(at.registry.ref("app:1"), layer, {});
    expect(at.registry.lines(/ \/v2\/$/)).toHaveLength(1);
  });

  test("requests go through the proxy, but never for loopback", async () => {
    using proxy = new FakeRegistry();
    proxy.addImage("app", "1", ["a"]);
    await using at = setUp({
      proxy: { http: proxy.origin, https: "http://127.0.0.1:1" },
      insecureRegistries: ["registry.test:5000"],
    });
    const image = await at.client.resolve(parseReference("registry.test:5000/app:1"), {});
    expect(image.layers).toHaveLength(1);
    at.registry.addImage("app", "1", ["direct"]);
    await at.client.resolve(at.registry.ref("app:1"), {});
    expect(at.registry.requests.length).toBeGreaterThan(0);
    expect(await failed(at.client.resolve(parseReference("secure.test/app:1"), {}))).toEqual({
      code: "unavailable",
      message:
        'Get "https://secure.test/v2/": proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused (nothing listens there: check the port, and that the registry runs)',
    });
  });
});
