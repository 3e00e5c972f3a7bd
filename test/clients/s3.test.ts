import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../src/base/lib/errors.ts";
import { digestOf as blobDigest } from "../../src/base/spec/oci/digest.ts";
import { temporaryContent } from "../../src/core/content/testdata/temporary.ts";
import { S3Storage } from "../../src/registry/storage/s3-storage.ts";
import { blobStorageSuite } from "../../src/registry/storage/suite.ts";
import { eventually } from "../harness/daemon.ts";
import { freePort } from "../harness/registry.ts";
import { digestOf, TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(180_000);
/** An S3 service that we did not write (s3rver): it takes uploads in parts, serves ranges and lists keys, as the registry asks for them. */
const keys = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
const directory = mkdtempSync("/tmp/tug-s3-");
const endpoint = `http://127.0.0.1:${freePort()}`;
let server: Bun.Subprocess;

beforeAll(async () => {
  const { hostname, port } = new URL(endpoint);
  server = Bun.spawn(
    [process.execPath, join(import.meta.dir, "testdata/s3rver.ts"), directory, hostname, port],
    { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, BUN_BE_BUN: "1" } },
  );
  const answers = async () =>
    await fetch(endpoint).then(
      () => true,
      () => false,
    );
  await eventually("the S3 service answers", answers, 30_000);
});
afterAll(async () => {
  server.kill();
  await server.exited;
  rmSync(directory, { recursive: true, force: true });
});

function storage(prefix: string, accessKeyId = keys.accessKeyId) {
  const content = temporaryContent();
  const settings = {
    ...{ bucket: "images", endpoint, region: "us-east-1", ...keys, accessKeyId },
    ...{ sessionToken: undefined, prefix },
  };
  return {
    storage: new S3Storage(content.store, settings),
    reopen: () => new S3Storage(content.reopen(), settings),
    [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
  };
}

let made = 0;
blobStorageSuite("storage in a bucket of s3rver", () => storage(`suite/${made++}/`));

test("an unknown key is refused by the service and told as storage that is not available", async () => {
  await using at = storage("wrong/", "WRONG");
  const failure = at.storage.put(blobDigest("a"), Buffer.from("a")).then(() => "none", codeOf);
  expect(await failure).toBe("unavailable");
});

test("a registry keeps its blobs there: pushed in parts, read in ranges, there after a restart, collected", async () => {
  // s3rver removes directories that become empty, and two removals at once of one fail each other: these never are, whatever digests come.
  for (let byte = 0; byte < 256; byte++) {
    const name = byte.toString(16).padStart(2, "0");
    mkdirSync(join(directory, "images/reg/blobs/sha256", name, "kept"), { recursive: true });
  }
  const objects = () =>
    readdirSync(join(directory, "images/reg"), { recursive: true }).filter((name) =>
      String(name).endsWith("_object"),
    );
  await using registry = await TugRegistry.start({
    config: {
      storage: {
        s3: {
          ...{ bucket: "images", prefix: "reg/", endpoint, region: "us-east-1" },
          ...{ "access-key-id": keys.accessKeyId, "secret-access-key": keys.secretAccessKey },
        },
      },
    },
  });
  const layer = randomBytes(20 << 20);
  const digest = await registry.pushImage("app", "v1", [layer]);
  // Config, layer, manifest.
  expect(objects().length).toBe(3);
  await registry.stop();
  await registry.up();
  const got = await registry.request("GET", `/v2/app/blobs/${digestOf(layer)}`);
  expect(digestOf(new Uint8Array(await got.arrayBuffer()))).toBe(digestOf(layer));
  const range = await registry.request("GET", `/v2/app/blobs/${digestOf(layer)}`, {
    headers: { Range: "bytes=10485760-10485769" },
  });
  expect(range.status).toBe(206);
  expect(Buffer.from(await range.arrayBuffer()).equals(layer.subarray(10_485_760, 10_485_770))).toBe(true);
  expect((await registry.request("GET", "/v2/app/manifests/v1")).status).toBe(200);
  expect((await registry.request("DELETE", `/v2/app/manifests/${digest}`)).status).toBe(202);
  await registry.stop();
  const config = join(registry.root, "registry.yml");
  const gc = ["gc", "--config", config, "--root", registry.data, "--gc-grace", "1ms"];
  const collected = await registry.command(...gc);
  expect([collected.code, collected.stderr]).toEqual([0, ""]);
  await registry.up();
  expect(objects()).toEqual([]);
});
