import { expect, test } from "bun:test";
import { type AddressInfo, connect, createServer } from "node:net";
import { codeOf } from "../../base/lib/errors.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { temporaryContent } from "../../core/content/testdata/temporary.ts";
import { FakeS3 } from "../testdata/fake-s3.ts";
import { fileStorage } from "./file-storage.ts";
import { S3Storage } from "./s3-storage.ts";
import { blobStorageSuite } from "./suite.ts";

function s3() {
  const content = temporaryContent();
  const server = new FakeS3();
  const settings = {
    bucket: "bucket",
    endpoint: server.endpoint,
    region: "eu-test-1",
    accessKeyId: "id",
    secretAccessKey: server.secret,
    sessionToken: undefined,
    prefix: "some/where/",
  };
  return {
    storage: new S3Storage(content.store, settings),
    server,
    content,
    settings,
    reopen: () => new S3Storage(content.reopen(), settings),
    async [Symbol.asyncDispose]() {
      server[Symbol.dispose]();
      await content[Symbol.asyncDispose]();
    },
  };
}

blobStorageSuite("storage in files", () => {
  const content = temporaryContent();
  return {
    storage: fileStorage(content.store),
    reopen: () => fileStorage(content.reopen()),
    [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
  };
});

blobStorageSuite("storage in a bucket", s3);

test("a bucket is listed page after page", async () => {
  await using at = s3();
  for (const text of ["a", "b", "c", "d", "e"])
    await at.storage.put(digestOf(text), new TextEncoder().encode(text));
  const listed = await Array.fromAsync(at.storage.list());
  expect(listed.map((each) => each.digest).sort()).toEqual(["a", "b", "c", "d", "e"].map(digestOf).sort());
});

test("nothing stays on this machine's disk once it is in the bucket", async () => {
  await using at = s3();
  const upload = await at.storage.begin("a");
  await upload.write(new TextEncoder().encode("text"));
  await upload.commit(digestOf("text"));
  expect([...at.content.store.list()]).toEqual([]);
  expect([...at.server.objects.keys()][0]).toStartWith("some/where/blobs/sha256/");
});

test("wrong keys and a broken service are told as unavailable storage, not as missing blobs", async () => {
  await using at = s3();
  const code = (work: Promise<unknown>) => work.then(() => "none", codeOf);
  const stranger = new S3Storage(at.content.store, { ...at.settings, secretAccessKey: "wrong" });
  expect(await code(stranger.put(digestOf("a"), new TextEncoder().encode("a")))).toBe("unavailable");
  at.server.broken = 500;
  expect(await code(at.storage.open(digestOf("a")))).toBe("unavailable");
  expect(await code(Array.fromAsync(at.storage.list()))).toBe("unavailable");
});

test("what the service fails and then does is asked for again", async () => {
  await using at = s3();
  const { storage, server } = at;
  const digest = digestOf("a");
  const stumbling = async <T>(ask: () => Promise<T>) => {
    server.stumbles = 2;
    const answer = await ask();
    expect(server.stumbles).toBe(0);
    return answer;
  };
  await stumbling(() => storage.put(digest, new TextEncoder().encode("a")));
  expect(await stumbling(() => storage.stat(digest))).toEqual({ digest, size: 1 });
  expect(await stumbling(() => storage.confirmMissing(digest))).toBe(false);
  expect(await stumbling(() => Array.fromAsync(storage.list()))).toEqual([{ digest, size: 1 }]);
  const reader = await storage.open(digest);
  expect(Buffer.concat(await stumbling(() => Array.fromAsync(reader.pieces(0, 1)))).toString()).toBe("a");
  await stumbling(() => storage.delete(digest));
  expect(await storage.stat(digest)).toBeUndefined();
});

test("a blob whose connection breaks on the way comes whole: the rest is asked for", async () => {
  await using at = s3();
  const blob = Buffer.alloc(300_000, "0123456789");
  await at.storage.put(digestOf(blob), blob);
  let cut = 0;
  // Each of the first two connections that carry much is broken after 100,000 bytes.
  const proxy = createServer((client) => {
    const upstream = connect(Number(new URL(at.server.endpoint).port), "127.0.0.1");
    let carried = 0;
    client.pipe(upstream);
    upstream.on("data", (chunk: Buffer) => {
      carried += chunk.length;
      if (cut === 2 || carried <= 100_000) {
        client.write(chunk);
        return;
      }
      cut++;
      upstream.destroy();
      client.end(chunk.subarray(0, chunk.length - (carried - 100_000)));
    });
    for (const end of [client, upstream]) end.on("error", () => end.destroy());
    client.on("close", () => upstream.destroy());
    upstream.on("end", () => client.end());
  });
  await new Promise<void>((listening) => proxy.listen(0, "127.0.0.1", listening));
  const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const reader = await new S3Storage(at.content.store, { ...at.settings, endpoint }).open(digestOf(blob));
  expect(Buffer.concat(await Array.fromAsync(reader.pieces(10, blob.length)))).toEqual(blob.subarray(10));
  expect(cut).toBe(2);
  proxy.close();
});

test("a bucket that is gone is no bucket without blobs", async () => {
  await using at = s3();
  await at.storage.put(digestOf("a"), new TextEncoder().encode("a"));
  at.server.gone = true;
  expect(await at.storage.confirmMissing(digestOf("a")).then(() => "none", codeOf)).toBe("unavailable");
});
