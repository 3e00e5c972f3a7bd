import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { TestDaemon } from "../harness/daemon.ts";
import { growth } from "../harness/memory.ts";

/**
 * CVE-2017-14992, CVE-2023-25153, CVE-2026-47262, CVE-2025-47290: what an image, an archive or a registry says about its own size never
 * decides how much memory is taken. TUG_BOMB_MB=8192 looks harder.
 */
const paddingMegabytes = Number(process.env["TUG_BOMB_MB"] ?? 512);
/** For everything together: the daemon over what it held before, and a helper of its own size. */
const allowed = 192 << 20;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** 32 MB of zeros; gzip takes its members one after the other (RFC 1952, 2.2). */
const zeros = gzipSync(Buffer.alloc(32 << 20), { level: 1 });
const packed = (...parts: readonly Uint8Array[]) =>
  Buffer.concat(parts.map((part) => (part === zeros ? part : gzipSync(part))));

/** A ustar header of a regular file. */
function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write("0000644\0", 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("00000000000\0", 136);
  block.write("        0", 148);
  block.write("ustar\0" + "00", 257);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function file(name: string, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([header(name, bytes.length), bytes, Buffer.alloc(-bytes.length & 511)]);
}

const end = Buffer.alloc(1024);

async function post(path: string, body: Uint8Array<ArrayBuffer> | Buffer): Promise<string> {
  const reply = await fetch(`http://tug${path}`, {
    unix: daemon.socket,
    method: "POST",
    body: new Uint8Array(body),
  });
  return await reply.text();
}

test("an archive with gigabytes of padding is imported in a few megabytes of memory", async () => {
  const tar = packed(
    file("etc/hostname", "x"),
    end,
    ...Array<Buffer>(Math.ceil(paddingMegabytes / 32)).fill(zeros),
  );
  let reply = "";
  const grown = await growth(daemon, async () => {
    reply = await post("/images/create?fromSrc=-&repo=padded", tar);
  });
  expect(reply).toContain("sha256:");
  expect(grown).toBeLessThan(allowed);
  expect(await daemon.ok(["images", "-q", "padded"])).not.toBe("");
  await daemon.ok(["rmi", "padded"]);
}, 600_000);

test("documents of an archive that are large, or nested without end, are refused before they are held", async () => {
  const large = (name: string) => [header(name, 32 << 20), zeros] as const;
  const config = "a".repeat(64);
  const manifest = file(
    "manifest.json",
    JSON.stringify([{ Config: "config.json", RepoTags: ["big:1"], Layers: [] }]),
  );
  const layout = file("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const index = (size: number) =>
    file(
      "index.json",
      JSON.stringify({
        schemaVersion: 2,
        manifests: [
          { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: `sha256:${config}`, size },
        ],
      }),
    );
  const deep = (name: string) => file(name, "[".repeat(3 << 20));
  const archives: Readonly<Record<string, readonly Uint8Array[]>> = {
    "manifest.json": large("manifest.json"),
    "index.json": [layout, ...large("index.json")],
    "oci-layout": [...large("oci-layout"), index(10)],
    config: [manifest, ...large("config.json")],
    "deep manifest.json": [deep("manifest.json")],
    "deep index.json": [layout, deep("index.json")],
    "deep config": [manifest, deep("config.json")],
    "a manifest that is not there": [layout, index(1 << 40)],
    "many members": [Buffer.concat(Array.from({ length: 5_000 }, (_, i) => file(`f${i}`, "")))],
  };
  for (const [name, parts] of Object.entries(archives)) {
    let reply = "";
    const grown = await growth(daemon, async () => {
      reply = await post("/images/load", packed(...parts, end));
    });
    expect([name, reply]).toEqual([name, expect.stringMatching(/message|error/)]);
    expect([name, grown < allowed ? "bounded" : grown]).toEqual([name, "bounded"]);
  }
  for (const body of [
    "[".repeat(4 << 20),
    `{"Labels":${"[".repeat(1 << 20)}`,
    `${'{"a":'.repeat(1 << 18)}1`,
  ]) {
    const reply = await fetch("http://tug/containers/create", {
      unix: daemon.socket,
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(reply.status).toBeGreaterThanOrEqual(400);
  }
  expect(await daemon.ok(["images", "-q", "--filter", "dangling=true"])).toBe("");
  expect(await daemon.ping()).toBe(true);
}, 300_000);

test("giant user and group files of a container cost a bounded amount, or are refused by name", async () => {
  await daemon.ok(["run", "-d", "--name", "giant", "busybox", "sleep", "1000"]);
  const put = (path: string, command: string) =>
    daemon.ok(["exec", "giant", "sh", "-c", `(${command}) >${path}`]);
  const lines = "head -c 4000000 /dev/zero | tr '\\0' '\\n'";
  await put("/etc/passwd", `${lines}; echo 'last:x:7:8::/:/bin/sh'`);
  await put(
    "/etc/group",
    `printf 'g:x:9:'; head -c 1990000 /dev/zero | sed 's/./a,/g' 2>/dev/null | tr '\\0' ','; echo 'last'; echo 'h:x:10:last'`,
  );
  const grown = await growth(daemon, async () => {
    for (let i = 0; i < 4; i++)
      expect(await daemon.ok(["exec", "-u", "last", "giant", "id", "-u"])).toBe("7");
  });
  expect(grown).toBeLessThan(allowed);
  await put("/etc/passwd", `${lines}; ${lines}`);
  const refused = await daemon.tug(["exec", "-u", "last", "giant", "id"]);
  expect(refused.stderr).toMatch(/\/etc\/passwd of the container is larger than \d+ bytes/);
  await daemon.ok(["exec", "giant", "sh", "-c", "rm /etc/passwd; mkfifo /etc/passwd"]);
  expect((await daemon.tug(["exec", "-u", "last", "giant", "id"])).stderr).toContain(
    "unable to find user last",
  );
  const status = await daemon.ok(["exec", "-u", "5", "giant", "cat", "/proc/self/status"]);
  expect(status).toMatch(/^Uid:\s+5\s/m);
}, 120_000);

test("a registry that never stops talking is cut off, whatever it was asked for", async () => {
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const configType = "application/vnd.oci.image.config.v1+json";
  const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
  const some = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const manifest = (configSize: number) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: configType, digest: some("config"), size: configSize },
      layers: [{ mediaType: layerType, digest: some("layer"), size: 1000 }],
    });
  const endless = () => {
    const chunk = new Uint8Array(64 << 10).fill(0x20);
    return new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(chunk) });
  };
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request): Response {
      const { pathname } = new URL(request.url);
      if (pathname.includes("/locked/") && !pathname.includes("token"))
        return new Response(endless(), {
          status: 401,
          headers: { "www-authenticate": `Bearer realm="http://127.0.0.1:${server.port}/token",service="x"` },
        });
      if (pathname === "/token" || pathname.endsWith("/tags/list")) return new Response(endless());
      if (pathname === "/v2/") return new Response("{}");
      if (pathname.includes("/manifests/")) {
        const headers = { "content-type": manifestType };
        if (pathname.includes("/endless/")) return new Response(endless(), { headers });
        return new Response(manifest(pathname.includes("/claims/") ? 1e12 : 500), { headers });
      }
      return new Response(endless());
    },
  });
  const address = `127.0.0.1:${server.port}`;
  for (const name of ["endless", "claims", "blobs", "locked"]) {
    let stderr = "";
    const grown = await growth(daemon, async () => {
      const pulled = await daemon.tug(["pull", `${address}/${name}/image:1`], { timeout: 60_000 });
      stderr = `${pulled.code} ${pulled.stderr}`;
    });
    expect([name, stderr]).toEqual([name, expect.stringMatching(/^1 [\s\S]*\S/)]);
    expect([name, grown < allowed ? "bounded" : grown]).toEqual([name, "bounded"]);
  }
  expect((await daemon.tug(["pull", "-a", `${address}/blobs/image`])).code).toBe(1);
  const left = Bun.spawnSync(["du", "-sm", daemon.dataRoot]).stdout.toString();
  expect(Number.parseInt(left, 10)).toBeLessThan(64);
}, 300_000);
