import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";
import { digestOf, ociIndex, ociManifest, TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(60_000);

/** An upstream that answers as it is told, and counts what it is asked. */
class Upstream implements Disposable {
  readonly blobs = new Map<string, Uint8Array>();
  readonly manifests = new Map<string, string>();
  readonly asked: string[] = [];
  /** Answers everything but /v2/ with this status. */
  broken: number | undefined;
  /** Lets the second half of a blob through when it is called; undefined sends blobs whole. */
  gate: Promise<void> | undefined;
  /** Breaks the connection after the first half of the next so many blobs. */
  cuts = 0;
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor() {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  image(name: string, tag: string, layer: Uint8Array): string {
    const config = new TextEncoder().encode(
      '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
    );
    for (const bytes of [config, layer]) this.blobs.set(digestOf(bytes), bytes);
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: digestOf(config),
        size: config.length,
      },
      layers: [
        { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(layer), size: layer.length },
      ],
    });
    this.manifests.set(`${name}:${tag}`, manifest);
    this.manifests.set(`${name}:${digestOf(manifest)}`, manifest);
    return digestOf(manifest);
  }

  count(part: string): number {
    return this.asked.filter((each) => each.includes(part)).length;
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }

  #answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    if (pathname === "/v2/") return new Response("{}");
    this.asked.push(`${request.method} ${pathname} ${request.headers.get("range") ?? ""}`);
    if (this.broken !== undefined) {
      return new Response('{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', {
        status: this.broken,
        headers: { "Retry-After": "7" },
      });
    }
    if (pathname.endsWith("/tags/list")) {
      const name = pathname.slice("/v2/".length, -"/tags/list".length);
      const tags = [...this.manifests.keys()].filter(
        (key) => key.startsWith(`${name}:`) && !key.includes("sha256"),
      );
      return Response.json({ name, tags: tags.map((key) => key.slice(name.length + 1)) });
    }
    const manifest = this.manifests.get(pathname.replace(/^\/v2\/(.+)\/manifests\/([^/]+)$/, "$1:$2"));
    if (manifest !== undefined) {
      const { mediaType } = JSON.parse(manifest) as { mediaType: string };
      const headers = { "Content-Type": mediaType, "Docker-Content-Digest": digestOf(manifest) };
      return new Response(request.method === "HEAD" ? null : manifest, { headers });
    }
    const blob = this.blobs.get(pathname.split("/").at(-1) ?? "");
    if (!blob) return new Response('{"errors":[{"code":"BLOB_UNKNOWN","message":"x"}]}', { status: 404 });
    if (request.method === "HEAD")
      return new Response(null, { headers: { "Content-Length": String(blob.length) } });
    return this.#send(request, blob);
  }

  #send(request: Request, blob: Uint8Array): Response {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
    const { gate } = this;
    const cut = this.cuts > 0 && this.cuts-- > 0;
    const half = from + Math.ceil((blob.length - from) / 2);
    const body = new ReadableStream<Uint8Array>({
      type: "direct" as never,
      async pull(controller: ReadableStreamDirectController) {
        controller.write(blob.subarray(from, half));
        await controller.flush();
        await gate;
        if (cut) return void controller.close();
        controller.write(blob.subarray(half));
        controller.close();
      },
    } as never);
    return new Response(body, {
      status: from > 0 ? 206 : 200,
      headers: from > 0 ? { "Content-Range": `bytes ${from}-${blob.length - 1}/${blob.length}` } : {},
    });
  }
}

const random = (size: number) => crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));

async function bytesOf(response: Response): Promise<string> {
  expect(response.status).toBe(200);
  return digestOf(new Uint8Array(await response.arrayBuffer()));
}

const cacheOf = (upstream: Upstream, more: Record<string, unknown> = {}) =>
  TugRegistry.start({
    config: {
      proxy: [{ prefix: "hub", upstream: upstream.url, "tag-ttl": "0", ...more }],
      garbage: { interval: "0" },
    },
  });

describe("a cache of another registry", () => {
  test("brings what is asked for once, and then serves it although upstream answers 429, 5xx or nothing", async () => {
    using upstream = new Upstream();
    const layer = random(50_000);
    const digest = upstream.image("team/app", "v1", layer);
    await using registry = await cacheOf(upstream);
    const manifest = () => registry.request("GET", "/v2/hub/team/app/manifests/v1");
    const blob = () => registry.request("GET", `/v2/hub/team/app/blobs/${digestOf(layer)}`);
    expect(await bytesOf(await manifest())).toBe(digest);
    expect(await bytesOf(await blob())).toBe(digestOf(layer));
    await eventually(
      "it is stored",
      async () =>
        (await registry.request("HEAD", `/v2/hub/team/app/blobs/${digestOf(layer)}`)).status === 200,
    );
    expect(await bytesOf(await blob())).toBe(digestOf(layer));
    expect(upstream.count(`GET /v2/team/app/blobs/${digestOf(layer)}`)).toBe(1);
    expect(await bytesOf(await manifest())).toBe(digest);
    expect(upstream.count("GET /v2/team/app/manifests")).toBe(1);
    for (const broken of [429, 500, 503]) {
      upstream.broken = broken;
      const stale = await manifest();
      expect(stale.headers.get("warning")).toStartWith("299 - ");
      expect(await bytesOf(stale)).toBe(digest);
    }
    const unknown = await registry.request("GET", "/v2/hub/team/app/manifests/other");
    expect(unknown.status).toBe(502);
    upstream.broken = 429;
    const limited = await registry.request("GET", "/v2/hub/team/app/manifests/other");
    expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "7"]);
    upstream[Symbol.dispose]();
    await registry.stop();
    await registry.up();
    expect(await bytesOf(await manifest())).toBe(digest);
    expect(await bytesOf(await blob())).toBe(digestOf(layer));
    expect((await registry.request("GET", "/v2/hub/team/app/manifests/other")).status).toBe(502);
  });

  test("follows a tag that moves, and says what upstream says of what is not there or not allowed", async () => {
    using upstream = new Upstream();
    const before = upstream.image("app", "latest", random(100));
    await using registry = await cacheOf(upstream);
    const tag = async () =>
      (await registry.request("HEAD", "/v2/hub/app/manifests/latest")).headers.get("docker-content-digest");
    expect(await tag()).toBe(before);
    const after = upstream.image("app", "latest", random(200));
    expect(await tag()).toBe(after);
    expect((await registry.request("GET", `/v2/hub/app/manifests/${before}`)).status).toBe(200);
    expect((await registry.request("GET", "/v2/hub/app/manifests/none")).status).toBe(404);
    upstream.image("app", "unseen", random(10));
    const tags = async () => await (await registry.request("GET", "/v2/hub/app/tags/list?n=2")).json();
    expect(await tags()).toEqual({ name: "hub/app", tags: ["latest", "unseen"] });
    upstream.broken = 500;
    expect(await tags()).toEqual({ name: "hub/app", tags: ["latest"] });
    upstream.broken = undefined;
    expect((await registry.request("GET", `/v2/hub/app/blobs/${digestOf("none")}`)).status).toBe(404);
    upstream.broken = 403;
    expect((await registry.request("GET", "/v2/hub/app/manifests/secret")).status).toBe(403);
    expect((await registry.request("POST", "/v2/hub/app/blobs/uploads/")).status).toBe(405);
    expect((await registry.request("GET", "/v2/own/manifests/latest")).status).toBe(404);
    expect(upstream.count("/v2/own/")).toBe(0);
  });

  test("fetches a blob once for all who ask, and streams it to them while it comes", async () => {
    using upstream = new Upstream();
    const layer = random(60_000);
    upstream.image("app", "v1", layer);
    let open: () => void = () => undefined;
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    await using registry = await cacheOf(upstream);
    await registry.request("GET", "/v2/hub/app/manifests/v1");
    // The size is known from upstream's HEAD where its GET does not tell.
    const readers = Array.from({ length: 8 }, () =>
      registry.request("GET", `/v2/hub/app/blobs/${digestOf(layer)}`),
    );
    const first = (await readers[0])?.body?.getReader();
    const start = (await first?.read())?.value ?? new Uint8Array();
    expect(start.length).toBeGreaterThan(0);
    open();
    const parts = [start];
    for (let next = await first?.read(); next && !next.done; next = await first?.read())
      parts.push(next.value);
    const all = await Promise.all(readers.slice(1).map(async (reader) => await bytesOf(await reader)));
    expect(new Set([...all, digestOf(Buffer.concat(parts))])).toEqual(new Set([digestOf(layer)]));
    expect(upstream.count(`GET /v2/app/blobs/${digestOf(layer)}`)).toBe(1);
  });

  test("goes on where a transfer broke off, and never passes on a blob whose digest is wrong", async () => {
    using upstream = new Upstream();
    const layer = random(60_000);
    upstream.image("app", "v1", layer);
    upstream.cuts = 2;
    await using registry = await cacheOf(upstream);
    expect(await bytesOf(await registry.request("GET", `/v2/hub/app/blobs/${digestOf(layer)}`))).toBe(
      digestOf(layer),
    );
    expect(upstream.asked.some((each) => each.includes("bytes=30000-"))).toBe(true);
    const wanted = digestOf("the right bytes");
    upstream.blobs.set(wanted, new TextEncoder().encode("not these bytes"));
    const wrong = await registry.request("GET", `/v2/hub/app/blobs/${wanted}`).then(
      async (response) =>
        response.ok
          ? await response.text().then(
              () => "whole",
              () => "cut",
            )
          : "refused",
      () => "cut",
    );
    expect(wrong).not.toBe("whole");
    expect(
      (await registry.request("GET", "/metrics").then((response) => response.text())).includes(
        "tug_registry_blobs 1\n",
      ),
    ).toBe(true);
  });

  test("goes on after a kill -9 with what had come before it", async () => {
    using upstream = new Upstream();
    const layer = new Uint8Array(Buffer.concat(Array.from({ length: 64 }, () => random(65_536))));
    upstream.image("app", "v1", layer);
    upstream.gate = new Promise(() => undefined);
    await using registry = await cacheOf(upstream);
    const path = `/v2/hub/app/blobs/${digestOf(layer)}`;
    const reader = (await registry.request("GET", path)).body?.getReader();
    for (let read = 0; read < layer.length / 2 - 300_000; )
      read += (await reader?.read())?.value?.length ?? 0;
    await registry.crash();
    await reader?.cancel().catch(() => undefined); // its connection is gone
    upstream.gate = undefined;
    await registry.up();
    expect(await bytesOf(await registry.request("GET", path))).toBe(digestOf(layer));
    const resumed = upstream.asked.flatMap((each) => / bytes=(\d+)-/.exec(each)?.slice(1) ?? []).map(Number);
    expect(resumed[0]).toBeGreaterThan(layer.length / 4);
  });

  test("knows by ns whose repository is meant", async () => {
    using upstream = new Upstream();
    const digest = upstream.image("app", "v1", random(10));
    await using registry = await cacheOf(upstream);
    const ns = new URL(upstream.url).host;
    const response = await registry.request("GET", `/v2/app/manifests/v1?ns=${ns}`);
    expect([await bytesOf(response), response.headers.get("oci-namespace")]).toEqual([digest, ns]);
    expect((await registry.request("GET", "/v2/app/manifests/v1?ns=elsewhere.example")).status).toBe(404);
  });

  test("an index comes without its images until somebody wants one", async () => {
    using upstream = new Upstream();
    const child = upstream.image("app", "amd64", random(10));
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [{ mediaType: ociManifest, digest: child, size: 5 }],
    });
    upstream.manifests.set("app:multi", index);
    upstream.manifests.set(`app:${digestOf(index)}`, index);
    await using registry = await cacheOf(upstream);
    const got = await registry.request("GET", "/v2/hub/app/manifests/multi");
    expect(await bytesOf(got)).toBe(digestOf(index));
    expect(upstream.count(`manifests/${child}`)).toBe(0);
    expect(await bytesOf(await registry.request("GET", `/v2/hub/app/manifests/${child}`))).toBe(child);
  });
});

const missing = TestRegistry.missing();
if (missing !== undefined) console.log(`registry cache: ${missing}`);
describe.skipIf(missing !== undefined)("Debian's docker-registry behind the cache", () => {
  let daemon: TestDaemon;
  let upstream: TestRegistry;
  beforeAll(async () => {
    daemon = await TestDaemon.start();
    upstream = await TestRegistry.start({ users: { bob: "b0b" } });
  });
  afterAll(async () => {
    await upstream.close();
    await daemon.close();
  });

  test("tug pulls through it, with the cache's credentials for upstream, and again when upstream is gone", async () => {
    const there = `${upstream.address}/library/busybox:1`;
    await daemon.ok(["tag", "busybox", there]);
    await daemon.ok(["login", "-u", "bob", "--password-stdin", upstream.address], {
      input: "b0b",
      env: { DOCKER_CONFIG: `${daemon.root}/config` },
    });
    await daemon.ok(["push", there], { env: { DOCKER_CONFIG: `${daemon.root}/config` } });
    await using registry = await TugRegistry.start({
      config: {
        proxy: [{ upstream: `http://${upstream.address}`, username: "bob", password: "b0b", "tag-ttl": "0" }],
      },
    });
    const here = `${registry.address}/library/busybox:1`;
    await daemon.ok(["rmi", there, "busybox"]);
    await daemon.ok(["pull", here]);
    await daemon.ok(["rmi", here]);
    await upstream.close();
    await daemon.ok(["pull", here]);
    expect(await daemon.ok(["run", "--rm", "--network", "none", here, "echo", "here"])).toBe("here");
  });
});
