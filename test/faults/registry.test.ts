import { expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { eventually } from "../harness/daemon.ts";
import { digestOf, ociManifest, TugRegistry } from "../harness/tug-registry.ts";

/** The registry killed in the middle of pushes, collected beside them, and in the hands of clients that mean no good. */

setDefaultTimeout(120_000);
const quiet = ["--gc-interval", "0"];

/** Every blob of a manifest is there and is what its digest says. */
async function assertPullable(registry: TugRegistry, repository: string, reference: string): Promise<void> {
  const response = await registry.request("GET", `/v2/${repository}/manifests/${reference}`);
  expect(response.status).toBe(200);
  const { config, layers } = (await response.json()) as {
    config: { digest: string };
    layers: { digest: string }[];
  };
  for (const { digest } of [config, ...layers]) {
    const blob = await registry.request("GET", `/v2/${repository}/blobs/${digest}`);
    expect(blob.status).toBe(200);
    expect(digestOf(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
  }
}

/** A connection that writes as it is told. */
function raw(registry: TugRegistry): { readonly socket: Socket; readonly ended: Promise<string> } {
  const socket = connect(Number(registry.address.split(":")[1]), "127.0.0.1");
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
  });
  const ended = new Promise<string>((resolve) => {
    socket.on("close", () => resolve(text));
    socket.on("error", () => undefined); // "close" follows
  });
  return { socket, ended };
}

test("an upload that a kill -9 interrupted is continued where it stopped", async () => {
  await using registry = await TugRegistry.start({ flags: quiet });
  const content = crypto.getRandomValues(new Uint8Array(65536));
  const whole = Buffer.concat(Array.from({ length: 64 }, () => content));
  const begun = await registry.request("POST", "/v2/crash/blobs/uploads/");
  const location = begun.headers.get("location") ?? "";
  const patch = raw(registry);
  patch.socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${whole.length}\r\n\r\n`);
  patch.socket.write(whole.subarray(0, 40 * 65536));
  const received = async () => {
    const range = (await registry.request("GET", location)).headers.get("range");
    return Number(/^0-(\d+)$/.exec(range ?? "")?.[1]) + 1;
  };
  await eventually("two thirds have arrived", async () => (await received()) >= 40 * 65536);
  await registry.crash();
  expect(await patch.ended).toBe("");
  await registry.up();
  const offset = await received();
  // What was still in memory is lost, and not more than that.
  expect(offset).toBeGreaterThanOrEqual(38 * 65536 - 256 * 1024);
  const rest = whole.subarray(offset);
  const put = await registry.request("PUT", `${location}?digest=${digestOf(whole)}`, {
    body: rest,
    headers: { "Content-Range": `${offset}-${whole.length - 1}` },
  });
  expect(put.status).toBe(201);
  const got = await registry.request("GET", `/v2/crash/blobs/${digestOf(whole)}`);
  expect(digestOf(new Uint8Array(await got.arrayBuffer()))).toBe(digestOf(whole));
});

test("a client whose connection was lost goes on with a new one while the old one still hangs", async () => {
  await using registry = await TugRegistry.start({ flags: quiet });
  const location = (await registry.request("POST", "/v2/lost/blobs/uploads/")).headers.get("location") ?? "";
  const old = raw(registry);
  old.socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf `);
  const range = async () => (await registry.request("GET", location)).headers.get("range");
  await eventually("the half is here", async () => (await range()) === "0-4");
  const put = await registry.request("PUT", `${location}?digest=${digestOf("half and half")}`, {
    body: "and half",
    headers: { "Content-Range": "5-12" },
  });
  expect(put.status).toBe(201);
  old.socket.destroy();
  await old.ended;
});

test("whatever was acknowledged before a kill -9 is there after it", async () => {
  await using registry = await TugRegistry.start({ flags: quiet });
  const acknowledged: string[] = [];
  let pushing = true;
  let number = 0;
  const worker = async () => {
    while (pushing) {
      const tag = `t${number++}`;
      const layers = [crypto.getRandomValues(new Uint8Array(50_000)), `shared ${number % 3}`];
      await registry.pushImage("storm", tag, layers).then(
        () => acknowledged.push(tag),
        () => undefined, // killed meanwhile, and up again soon
      );
    }
  };
  const workers = Array.from({ length: 4 }, worker);
  for (let kill = 1; kill <= 3; kill++) {
    await eventually("some were pushed", () => acknowledged.length >= kill * 4);
    await registry.crash();
    await registry.up();
  }
  pushing = false;
  await Promise.all(workers);
  for (const tag of acknowledged) await assertPullable(registry, "storm", tag);
  const report = await registry.command("gc", "--root", registry.data, "--orphans");
  expect(report.code).toBe(0);
  for (const tag of acknowledged) await assertPullable(registry, "storm", tag);
});

test("garbage is collected beside pushes of the same blobs, and nothing that was acknowledged is lost", async () => {
  await using registry = await TugRegistry.start({
    flags: [...quiet, "--gc-grace", "1ms", "--gc-untagged-after", "1ms"],
  });
  let running = true;
  let collections = 0;
  const collecting = (async () => {
    while (running) {
      const result = await registry.command(
        "gc",
        "--root",
        registry.data,
        ...(collections % 2 ? ["--orphans"] : []),
      );
      expect(result.code).toBe(0);
      collections++;
    }
  })();
  let kept = 0;
  for (let round = 0; round < 40 || collections < 4; round++) {
    const repository = `busy/${round % 3}`;
    // Without any grace a blob may go before its manifest comes: then the client is told, and pushes again.
    for (;;) {
      const error = await registry
        .pushImage(repository, "latest", [`layer ${round % 5}`, "always the same"])
        .then(
          () => undefined,
          (reason: unknown) => String(reason),
        );
      if (error === undefined) break;
      expect(error).toContain("MANIFEST_BLOB_UNKNOWN");
    }
    await assertPullable(registry, repository, "latest");
    kept++;
    if (round % 4 === 3) await registry.request("DELETE", `/v2/${repository}/manifests/latest`);
  }
  running = false;
  await collecting;
  expect(kept).toBeGreaterThanOrEqual(40);
});

test("a dry run tells what a run deletes, and pushes a second later what is deleted is gone for good", async () => {
  await using registry = await TugRegistry.start({
    flags: [...quiet, "--gc-grace", "1ms", "--gc-untagged-after", "1ms"],
  });
  await registry.pushImage("gc/a", "kept", ["kept layer", "both"]);
  await registry.pushImage("gc/a", "moved", ["old layer", "both"]);
  await registry.pushImage("gc/a", "moved", ["new layer", "both"]);
  await registry.pushBlob("gc/b", "nobody names this");
  const collect = (...flags: string[]) => registry.command("gc", "--root", registry.data, ...flags);
  const dry = await collect("--dry-run");
  expect(dry.stdout).toContain(
    "manifests without tag  1\nblobs of repositories  2\nblobs of the storage   3\n",
  );
  expect((await registry.request("HEAD", `/v2/gc/b/blobs/${digestOf("nobody names this")}`)).status).toBe(
    200,
  );
  const real = await collect();
  expect(real.stdout).toBe(dry.stdout.replace("nothing was deleted: this was a dry run\n", ""));
  expect((await registry.request("HEAD", `/v2/gc/a/blobs/${digestOf("old layer")}`)).status).toBe(404);
  await assertPullable(registry, "gc/a", "kept");
  await assertPullable(registry, "gc/a", "moved");
  // Nothing runs: the same command works on the root itself.
  await registry.stop();
  const offline = await collect();
  expect([offline.code, offline.stdout]).toEqual([0, expect.stringContaining("blobs of the storage   0")]);
});

test("after a kill -9 the registry itself looks for bytes that no record names, and after a clean stop it does not", async () => {
  await using registry = await TugRegistry.start({ config: { garbage: { interval: "20ms" } } });
  await registry.pushImage("kept", "v1", ["layer"]);
  const orphan = () => {
    const path = join(registry.data, "content/blobs/sha256", digestOf("orphan").slice(7));
    writeFileSync(path, "orphan");
    return path;
  };
  await registry.stop();
  const ignored = orphan();
  await registry.up();
  await eventually("it has collected", () => registry.log.includes("garbage collected"));
  expect(existsSync(ignored)).toBe(true);
  await registry.crash();
  await registry.up();
  await eventually("the orphan is gone", () => !existsSync(ignored));
  await assertPullable(registry, "kept", "v1");
});

test("a full disk refuses pushes and harms nothing; deleting and collecting make room again", async () => {
  await using registry = await TugRegistry.start({
    disk: "48m",
    flags: [...quiet, "--gc-grace", "1ms", "--gc-untagged-after", "1ms"],
  });
  const blob = (megabytes: number, seed: number) => new Uint8Array(megabytes << 20).fill(seed);
  const digest = await registry.pushImage("full", "v1", [blob(12, 1)]);
  const push = async (bytes: Uint8Array) => {
    const response = await registry.request("POST", `/v2/full/blobs/uploads/?digest=${digestOf(bytes)}`, {
      body: bytes,
    });
    return [response.status, response.status === 201 ? "" : await response.text()];
  };
  expect(await push(blob(40, 2))).toEqual([507, expect.stringContaining("no space left")]);
  await assertPullable(registry, "full", "v1");
  // The rest of the disk is somebody else's.
  const filler = join(registry.data, "filler");
  Bun.spawnSync(["sh", "-c", `cat /dev/zero >${filler}`]);
  expect((await push(blob(1, 3)))[0]).toBe(507);
  await assertPullable(registry, "full", "v1");
  expect((await registry.request("DELETE", `/v2/full/manifests/${digest}`)).status).toBe(202);
  expect((await registry.command("gc", "--root", registry.data)).stdout).toContain(
    "blobs of the storage   3\n",
  );
  expect((await push(blob(10, 4)))[0]).toBe(201);
});

test("memory does not grow with the size of a blob", async () => {
  await using registry = await TugRegistry.start({ flags: quiet });
  const piece = crypto.getRandomValues(new Uint8Array(1 << 20));
  const hash = createHash("sha256");
  const pieces = 400;
  for (let i = 0; i < pieces; i++) hash.update(piece);
  const digest = `sha256:${hash.digest("hex")}`;
  await registry.pushBlob("warm", piece);
  const before = registry.residentBytes();
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => (sent++ < pieces ? controller.enqueue(piece) : controller.close()),
  });
  const post = await registry.request("POST", `/v2/large/blobs/uploads/?digest=${digest}`, { body });
  expect(post.status).toBe(201);
  let received = 0;
  const got = await registry.request("GET", `/v2/large/blobs/${digest}`);
  for await (const chunk of got.body ?? []) received += chunk.byteLength;
  expect(received).toBe(pieces << 20);
  const peak =
    Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${registry.pid}/status`, "utf8"))?.[1]) * 1024;
  expect(peak - before).toBeLessThan(160 << 20);
});

test("clients that drip, that stall and that never read are cut off; what they sent stays", async () => {
  const garbage = { interval: "0" };
  await using registry = await TugRegistry.start({ config: { garbage } });
  const zeros = new Uint8Array(32 << 20);
  const large = await registry.pushBlob("slow", zeros);
  // Only now: on a disk that stands still for a second that push would be cut off, too.
  await registry.stop();
  const limits = { "head-timeout": "1s", "stall-timeout": "1s" };
  writeFileSync(join(registry.root, "registry.yml"), JSON.stringify({ limits, garbage }));
  await registry.up();
  const location = (await registry.request("POST", "/v2/slow/blobs/uploads/")).headers.get("location");

  const head = raw(registry);
  head.socket.write("GET /v2/ HTTP/1.1\r\nHost: x\r\n");
  const drip = setInterval(() => head.socket.writable && head.socket.write("X: y\r\n"), 100);
  const body = raw(registry);
  body.socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhello`);
  const reader = raw(registry);
  reader.socket.pause();
  reader.socket.write(`GET /v2/slow/blobs/${large} HTTP/1.1\r\nHost: x\r\n\r\n`);

  expect(await head.ended).toBe("");
  clearInterval(drip);
  await body.ended;
  expect((await registry.request("GET", location ?? "")).headers.get("range")).toBe("0-4");
  // The registry drops the connection; what lies in the buffers of the kernel can still be read.
  await eventually(
    "the registry has hung up on the reader",
    () => !clientPorts(registry).includes(reader.socket.localPort ?? 0),
  );
  reader.socket.resume();
  expect((await reader.ended).length).toBeLessThan(zeros.length);
  expect((await registry.request("GET", "/v2/")).status).toBe(200);
});

/** Local ports of clients whose connections the registry has open, as the kernel lists them. */
function clientPorts(registry: TugRegistry): readonly number[] {
  const port = Number(registry.address.split(":")[1]).toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`^ *\\d+: [0-9A-F]{8}:${port} [0-9A-F]{8}:([0-9A-F]{4}) 01 `, "gm");
  return [...readFileSync("/proc/net/tcp", "utf8").matchAll(line)].map((match) =>
    Number.parseInt(match[1] ?? "", 16),
  );
}

test("connections beyond the limit are closed at once, and the others go on", async () => {
  await using registry = await TugRegistry.start({ config: { limits: { connections: 3 } } });
  const held = Array.from({ length: 3 }, () => raw(registry));
  await eventually("three are connected", () => clientPorts(registry).length === 3);
  const late = raw(registry);
  expect(await late.ended).toBe("");
  for (const { socket, ended } of held) {
    socket.write("GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await ended).toStartWith("HTTP/1.1 200 ");
  }
  // The kernel knows that they are gone before the registry does.
  const served = async () =>
    await registry.request("GET", "/v2/").then(
      ({ status }) => status === 200,
      () => false,
    );
  await eventually("others are served again", served);
});

test("heads that are too large are refused, and bodies without end are taken into nothing but the upload", async () => {
  await using registry = await TugRegistry.start({ flags: [...quiet, "--quota", "tiny/*=1MB"] });
  const huge = raw(registry);
  huge.socket.write(`GET /v2/ HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(100_000)}`);
  expect(await huge.ended).toStartWith("HTTP/1.1 431 ");
  // A megabyte in chunks, again and again, for as long as the registry listens.
  const chunk = `100000\r\n${"x".repeat(1 << 20)}\r\n`;
  for (const [line, code] of [
    [`POST /v2/tiny/x/blobs/uploads/?digest=${digestOf("")}`, 403],
    ["PUT /v2/tiny/x/manifests/v1", 413],
  ] as const) {
    const endless = raw(registry);
    endless.socket.write(
      `${line} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: ${ociManifest}\r\n\r\n`,
    );
    const more = () => {
      while (endless.socket.writable && endless.socket.write(chunk));
    };
    endless.socket.on("drain", more);
    more();
    expect(await endless.ended).toStartWith(`HTTP/1.1 ${code} `);
  }
  expect((await registry.request("GET", "/v2/tiny/x/tags/list")).status).toBe(404);
});
