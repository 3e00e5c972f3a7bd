import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tarHeader, tarPadding, tarTrailer } from "../../src/base/lib/tar/writer.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { growth } from "../harness/memory.ts";
import { TestRegistry } from "../harness/registry.ts";

/** A layer with one file of this many bytes; what may be held meanwhile, helpers included, is less than half of it. */
const layerSize = 400 << 20;
const allowed = 160 << 20;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start({ busybox: false });
}, 120_000);
afterAll(() => daemon.close());

/** A docker-archive with one gzip layer, half of it noise, which stays as large when it is compressed. */
function writeArchive(path: string): void {
  const noise = randomBytes(1 << 20);
  const zeros = Buffer.alloc(1 << 20);
  const hash = createHash("sha256");
  // Members of a gzip stream follow one another (RFC 1952, 2.2): each is compressed once and repeated.
  const packed = new Map<Buffer, Buffer>();
  const member = (bytes: Buffer): Buffer => {
    hash.update(bytes);
    const made = packed.get(bytes) ?? Buffer.from(Bun.gzipSync(Uint8Array.from(bytes), { level: 1 }));
    packed.set(bytes, made);
    return made;
  };
  const parts = [member(tarHeader({ path: "large", kind: "file", size: layerSize }))];
  for (let at = 0; at < layerSize; at += noise.length + zeros.length)
    parts.push(member(noise), member(zeros));
  parts.push(member(Buffer.concat([tarPadding(layerSize), tarTrailer])));
  const layer = Buffer.concat(parts);
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [`sha256:${hash.digest("hex")}`] },
    }),
  );
  const manifest = [{ Config: "config.json", RepoTags: ["large:1"], Layers: ["layer.tar"] }];
  const members = { "config.json": config, "layer.tar": layer, "manifest.json": JSON.stringify(manifest) };
  const file = openSync(path, "w");
  for (const [name, content] of Object.entries(members)) {
    const bytes = Buffer.from(content);
    writeSync(file, tarHeader({ path: name, kind: "file", size: bytes.length }));
    writeSync(file, bytes);
    writeSync(file, tarPadding(bytes.length));
  }
  writeSync(file, tarTrailer);
  closeSync(file);
}

test("load, save, push and pull hold a bounded part of a large layer in memory", async () => {
  const missing = TestRegistry.missing();
  if (missing) return console.log(`not run: ${missing}`);
  await using stack = new AsyncDisposableStack();
  const registry = await TestRegistry.start();
  stack.defer(() => registry.close());
  const archive = join(daemon.root, "large.tar");
  writeArchive(archive);
  const name = `${registry.address}/large:1`;
  const steps: readonly (readonly string[])[] = [
    ["load", "-i", archive],
    ["save", "-o", join(daemon.root, "saved.tar"), "large:1"],
    ["tag", "large:1", name],
    ["push", name],
    ["rmi", "large:1", name],
    ["pull", name],
    ["rmi", name],
  ];
  const grown: Record<string, number> = {};
  for (const step of steps) {
    grown[step[0] ?? ""] = await growth(daemon, () => daemon.ok(step, { timeout: 120_000 }));
  }
  expect(Object.entries(grown).filter(([, bytes]) => bytes > allowed)).toEqual([]);
  await daemon.assertClean();
}, 180_000);
