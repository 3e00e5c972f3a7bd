import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { connect } from "node:tls";
import { FakeS3 } from "../../src/registry/testdata/fake-s3.ts";
import { eventually, run, tugBinary } from "../harness/daemon.ts";
import { digestOf, ociIndex, TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(60_000);

const code = async (response: Response) =>
  ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code;

describe("webhooks", () => {
  interface Event {
    readonly id: string;
    readonly action: string;
    readonly target: Record<string, unknown>;
    readonly actor: Record<string, unknown>;
  }

  test("are told of pushes, mounts, pulls and deletions in their order, again until they take it, across a restart", async () => {
    const events: Event[] = [];
    const deletions: Event[] = [];
    let failing = true;
    let refused = 0;
    const types = new Set<string | null>();
    const hook = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        if (failing) {
          refused++;
          return new Response("busy", { status: 503 });
        }
        types.add(`${request.headers.get("content-type")} ${request.headers.get("x-secret")}`);
        const list = request.url.endsWith("?deletions") ? deletions : events;
        list.push(...((await request.json()) as { events: Event[] }).events);
        return new Response();
      },
    });
    try {
      const url = `http://127.0.0.1:${hook.port}/events`;
      await using registry = await TugRegistry.start({
        users: { alice: "a" },
        config: {
          webhooks: [
            { name: "all", url, headers: { "X-Secret": "s" } },
            { name: "deletions", url: `${url}?deletions`, headers: { "X-Secret": "s" }, actions: ["delete"] },
          ],
        },
      });
      const digest = await registry.pushImage("hooks/app", "v1", ["layer"], {}, "alice:a");
      await eventually("the endpoint refused one", () => refused > 0);
      await registry.stop();
      await registry.up();
      const user = "alice:a";
      await registry.request(
        "POST",
        `/v2/hooks/other/blobs/uploads/?mount=${digestOf("layer")}&from=hooks/app`,
        { user },
      );
      await registry.request("GET", "/v2/hooks/app/manifests/v1", { user });
      await registry.request("DELETE", "/v2/hooks/app/manifests/v1", { user });
      failing = false;
      await eventually("all have come", () => deletions.length > 0 && events.at(-1)?.action === "delete");
      expect(events.map((each) => each.action)).toEqual(["push", "push", "push", "mount", "pull", "delete"]);
      expect(deletions.map((each) => each.action)).toEqual(["delete"]);
      expect(events[2]?.target).toMatchObject({ repository: "hooks/app", tag: "v1", digest });
      expect(events[3]?.target).toMatchObject({ repository: "hooks/other", fromRepository: "hooks/app" });
      expect(events[2]?.actor).toEqual({ name: "alice" });
      expect([...types]).toEqual(["application/vnd.docker.distribution.events.v2+json s"]);
    } finally {
      hook.stop(true);
    }
  });
});

describe("limits", () => {
  test("a quota refuses what is over it, for each repository or all of them, and deleting makes room", async () => {
    await using registry = await TugRegistry.start({
      flags: ["--gc-interval", "0", "--gc-grace", "1ms", "--gc-untagged-after", "1ms"],
      config: {
        quotas: [
          { repositories: "each/*", size: "100kb", per: "each" },
          { repositories: "all/**", size: "100kb" },
        ],
      },
    });
    const blob = (size: number, seed: number) => new Uint8Array(size).fill(seed);
    const push = async (name: string, bytes: Uint8Array) => {
      const response = await registry.request(
        "POST",
        `/v2/${name}/blobs/uploads/?digest=${digestOf(bytes)}`,
        { body: bytes },
      );
      return response.status === 201 ? "pushed" : `${response.status} ${await code(response)}`;
    };
    expect(await push("each/a", blob(60_000, 1))).toBe("pushed");
    expect(await push("each/a", blob(60_000, 1))).toBe("pushed");
    expect(await push("each/a", blob(60_000, 2))).toBe("403 DENIED");
    expect(await push("each/b", blob(60_000, 2))).toBe("pushed");
    expect(await push("all/a", blob(60_000, 3))).toBe("pushed");
    expect(await push("all/deep/b", blob(60_000, 4))).toBe("403 DENIED");
    const mount = await registry.request(
      "POST",
      `/v2/all/b/blobs/uploads/?mount=${digestOf(blob(60_000, 1))}&from=each/a`,
    );
    expect(mount.status).toBe(403);
    const index = (fill: string) =>
      JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [], fill });
    const put = await registry.request("PUT", "/v2/all/a/manifests/big", {
      body: index("x".repeat(50_000)),
      headers: { "Content-Type": ociIndex },
    });
    expect([put.status, await code(put)]).toEqual([403, "DENIED"]);
    expect((await registry.command("gc", "--root", registry.data)).code).toBe(0);
    expect(await push("all/deep/b", blob(60_000, 4))).toBe("pushed");
    const metrics = await (await registry.request("GET", "/metrics")).text();
    expect(metrics).toContain("tug_registry_garbage_bytes_total 180000\n");
  });

  test("read-only and without deletion, what would change something is refused", async () => {
    await using registry = await TugRegistry.start({ flags: ["--no-delete"] });
    const digest = await registry.pushImage("a", "1", ["x"]);
    const refused = await registry.request("DELETE", `/v2/a/manifests/${digest}`);
    expect([refused.status, await code(refused)]).toEqual([405, "UNSUPPORTED"]);
    await registry.stop();
    await using reader = await TugRegistry.start({ flags: ["--read-only"] });
    for (const [method, path] of [
      ["POST", "/v2/a/blobs/uploads/"],
      ["PUT", "/v2/a/manifests/1"],
      ["DELETE", "/v2/a/manifests/1"],
    ] as const) {
      const response = await reader.request(method, path);
      expect([response.status, await code(response)]).toEqual([405, "UNSUPPORTED"]);
    }
    expect((await reader.request("GET", "/v2/")).status).toBe(200);
  });
});

describe("looking in", () => {
  test("metrics count requests, bytes and what is stored, with labels no client chooses", async () => {
    await using registry = await TugRegistry.start();
    const digest = await registry.pushBlob("m", "0123456789");
    await (await registry.request("GET", `/v2/m/blobs/${digest}`)).text();
    await registry.request("GET", '/v2/a"b/{x}');
    const metrics = async () => await (await registry.request("GET", "/metrics")).text();
    const lines = [
      'tug_registry_requests_total{route="blob",method="GET",code="200"} 1',
      'tug_registry_requests_total{route="none",method="GET",code="404"} 1',
      "tug_registry_blob_received_bytes_total 10",
      "tug_registry_blob_sent_bytes_total 10",
      "tug_registry_blobs 1",
      "tug_registry_storage_bytes 10",
      'tug_registry_request_duration_seconds_count{route="upload"} 1',
    ];
    let text = "";
    const lacking = () => lines.filter((line) => !text.includes(`${line}\n`));
    // A request is counted when its reply has gone, whatever of later ones is counted by then.
    await eventually("they are counted", async () => {
      text = await metrics();
      return lacking().length === 0;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${lacking().join(", ")} in\n${text}`);
    });
    expect(text).not.toContain("{x}");
  });

  test("pages show repositories, tags and layers, escaped, and nothing that could run", async () => {
    await using registry = await TugRegistry.start();
    const evil = '<script>alert("x")</script>';
    await registry.pushImage("web/app", "v1", ["a layer"], {
      annotations: { "org.opencontainers.image.description": evil, [evil]: "'" },
    });
    const page = async (path: string) => {
      const response = await registry.request("GET", path);
      expect([response.status, response.headers.get("content-type")]).toEqual([
        200,
        "text/html; charset=utf-8",
      ]);
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
      const text = await response.text();
      expect(text).not.toContain("<script");
      return text;
    };
    const list = await page("/");
    expect(list).toContain('<a href="/pages/tags/web/app">web/app</a>');
    expect(list).toContain("&lt;script&gt;");
    expect(await page(`/?q=${encodeURIComponent('"><script>')}`)).toContain("Nothing here");
    expect(await page("/pages/tags/web/app")).toContain('<a href="/pages/image/v1/web/app">v1</a>');
    const image = await page("/pages/image/v1/web/app");
    expect(image).toContain(digestOf("a layer"));
    expect(image).toContain("7 B");
    expect((await registry.request("GET", "/pages/style.css")).status).toBe(200);
    const found = await registry.request("GET", "/v1/search?q=WEB&n=5");
    expect(await found.json()).toMatchObject({
      num_results: 1,
      results: [{ name: "web/app", description: evil }],
    });
    await registry.stop();
    await using bare = await TugRegistry.start({ flags: ["--no-pages"] });
    expect((await bare.request("GET", "/")).status).toBe(404);
  });
});

describe("running it", () => {
  test("SIGHUP takes a new certificate for new connections; a wrong one changes nothing", async () => {
    await using registry = await TugRegistry.start({ tls: true });
    const [host = "", port = ""] = registry.address.split(":");
    const subject = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
          resolve(`${socket.getPeerCertificate().subject.CN} ${socket.getProtocol()}`);
          socket.destroy();
        });
        socket.on("error", reject);
      });
    expect(await subject()).toBe("first TLSv1.3");
    registry.makeCertificate("second");
    registry.signal("SIGHUP");
    await eventually("the new one is shown", async () => (await subject()).startsWith("second"));
    writeFileSync(registry.ca, "no certificate");
    registry.signal("SIGHUP");
    await eventually("it is said", () => registry.log.includes("the old ones stay"));
    expect(await subject()).toStartWith("second");
    const old = Bun.spawnSync(["openssl", "s_client", "-tls1_1", "-connect", registry.address], {
      stdin: null,
      stderr: "pipe",
    });
    expect(old.success).toBe(false);
  });

  test("two registries do not share a root or a port", async () => {
    await using registry = await TugRegistry.start({ tls: true });
    const other = await registry.command("serve", "--root", registry.data, "--listen", "127.0.0.1:0");
    expect([other.code, other.stderr]).toEqual([
      1,
      `another registry is running with root ${registry.data}\n`,
    ]);
    const tls = ["--tls-cert", registry.ca, "--tls-key", join(registry.root, "server.key")];
    const same = await registry.command(
      "serve",
      "--root",
      join(registry.root, "b"),
      "--listen",
      registry.address,
      ...tls,
    );
    expect([same.code, same.stderr]).toEqual([1, expect.stringContaining("failed to listen")]);
  });

  test("mistakes in flags and file are told with their place", async () => {
    await using registry = await TugRegistry.start();
    const file = join(registry.root, "bad.yml");
    const validate = async (text: string) => {
      writeFileSync(file, text);
      const result = await registry.command("serve", "--validate", "--config", file);
      return result.code === 0 ? result.stdout.trim() : result.stderr.trim().replaceAll(file, "FILE");
    };
    expect(
      await validate("garbage:\n  grace: 12h\nproxy:\n- prefix: hub\n  upstream: https://docker.io\n"),
    ).toBe("configuration OK");
    expect(await validate("garbage: {grace: soon}")).toBe(
      'FILE: garbage: grace: expected a duration such as 90s, 12h or 30d, got "soon"',
    );
    expect(await validate("garbage: {gracee: 1h}")).toStartWith(
      "FILE: garbage: there is no setting gracee here; known are ",
    );
    expect(await validate("listen: [1, 2")).toStartWith("cannot read the configuration file FILE: ");
    expect(await validate("- a")).toBe("FILE: expected names with values");
    expect(await validate("access: [{users: [a], actions: [fly]}]")).toBe(
      "FILE: access[0]: actions: expected some of pull, push, delete",
    );
    expect(await validate("quotas: [{repositories: 'A b', size: 1GB}]")).toContain(
      "invalid repository pattern",
    );
    expect(await validate("tls: {certificate: x}")).toContain("TLS needs both");
    expect(
      await validate("auth: {htpasswd: x, token: {realm: r, service: s, issuer: i, keys: [k]}}"),
    ).toContain("exclude each other");
    const flag = await registry.command("serve", "--listn", "x");
    expect(flag.stderr).toBe("unknown flag: --listn\nSee 'tug registry serve --help'.\n");
    expect((await registry.command("fly")).stderr).toStartWith("unknown command: tug registry fly\n");
    for (const sub of ["serve", "gc", "htpasswd"])
      expect((await registry.command(sub, "--help")).code).toBe(0);
  });

  test("the settings that the documentation shows are settings", async () => {
    const folder = mkdtempSync("/tmp/tug-registry-docs-");
    try {
      const text = readFileSync(resolve(import.meta.dir, "../../docs/registry.md"), "utf8");
      writeFileSync(join(folder, "registry.yml"), /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? "");
      for (const secret of ["hub-token", "…"]) writeFileSync(join(folder, secret), "secret\n");
      const result = await run([tugBinary, "registry", "serve", "--validate", "--config", "registry.yml"], {
        cwd: folder,
      });
      expect(result).toEqual({ code: 0, stdout: "configuration OK\n", stderr: "" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("starting takes as long with ten thousand repositories as with none", async () => {
    await using registry = await TugRegistry.start({ flags: ["--gc-interval", "0"] });
    await registry.pushImage("seed", "1", ["x"]);
    await registry.stop();
    const { Database } = await import("bun:sqlite");
    const db = new Database(join(registry.data, "registry.db"));
    db.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       INSERT INTO repository (name, created, updated) SELECT 'many/' || i, 0, 0 FROM n`,
    );
    db.close();
    await registry.up();
    const list = await registry.request("GET", "/v2/_catalog?n=3&last=many/5");
    expect(((await list.json()) as { repositories: string[] }).repositories).toEqual([
      "many/50",
      "many/500",
      "many/5000",
    ]);
    expect((await registry.request("GET", "/v2/seed/manifests/1")).status).toBe(200);
  });

  test("blobs lie in a bucket when one is named, and nothing of them on this disk", async () => {
    using bucket = new FakeS3(1000);
    await using registry = await TugRegistry.start({
      flags: [
        "--s3",
        "s3://bucket/registry",
        "--s3-endpoint",
        bucket.endpoint,
        "--gc-interval",
        "0",
        "--gc-grace",
        "1ms",
        "--gc-untagged-after",
        "1ms",
      ],
      env: { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: bucket.secret, AWS_REGION: "eu-test-1" },
    });
    const layer = crypto.getRandomValues(new Uint8Array(20 << 20));
    const digest = await registry.pushImage("s3/app", "v1", [layer]);
    const got = await registry.request("GET", `/v2/s3/app/blobs/${digestOf(layer)}`);
    expect(digestOf(new Uint8Array(await got.arrayBuffer()))).toBe(digestOf(layer));
    const range = await registry.request("GET", `/v2/s3/app/blobs/${digestOf(layer)}`, {
      headers: { Range: "bytes=1000000-1000009" },
    });
    expect(new Uint8Array(await range.arrayBuffer())).toEqual(layer.slice(1_000_000, 1_000_010));
    expect((await registry.request("GET", "/v2/s3/app/manifests/v1")).status).toBe(200);
    expect(bucket.objects.size).toBe(3);
    expect(readdirSync(join(registry.data, "staging/blobs/sha256"))).toEqual([]);
    expect(existsSync(join(registry.data, "content"))).toBe(false);
    await registry.request("DELETE", `/v2/s3/app/manifests/${digest}`);
    expect((await registry.command("gc", "--root", registry.data)).code).toBe(0);
    expect(bucket.objects.size).toBe(0);
    await registry.pushImage("s3/app", "v2", ["layer"]);
    bucket.gone = true;
    expect((await registry.request("HEAD", `/v2/s3/app/blobs/${digestOf("layer")}`)).status).toBe(503);
    bucket.gone = false;
    expect((await registry.request("HEAD", `/v2/s3/app/blobs/${digestOf("layer")}`)).status).toBe(200);
    bucket.broken = 503;
    const failed = await registry.request("POST", `/v2/s3/app/blobs/uploads/?digest=${digestOf("x")}`, {
      body: "x",
    });
    expect([failed.status, await code(failed)]).toEqual([503, "UNAVAILABLE"]);
    await registry.stop();
    const other = await registry.command("serve", "--root", registry.data, "--listen", "127.0.0.1:0");
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining("about blobs in s3://bucket/registry/"),
    ]);
  });
});
