/**
 * s3rver with the bucket "images", started as `s3rver.ts DIRECTORY ADDRESS PORT`. Of itself it answers an upload once it has read all of it, which may be before
 * it is in its file (3.7.1, lib/stores/filesystem.js: it waits for what stands before the file's stream): here the answer waits for the file, as S3's does.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";

type Put = (this: unknown, ...args: unknown[]) => Promise<unknown>;

const require = createRequire(createRequire(import.meta.url).resolve("s3rver"));
const files = require("fs-extra") as { createWriteStream(path: string): Writable };
const store = require("./stores/filesystem.js") as { prototype: { putObject: Put; putPart: Put } };
const S3rver = require("./s3rver.js") as new (options: object) => { run(): Promise<unknown> };

const upload = new AsyncLocalStorage<Writable[]>();
const { createWriteStream } = files;
files.createWriteStream = (path) => {
  const stream = createWriteStream(path);
  upload.getStore()?.push(stream);
  return stream;
};
for (const name of ["putObject", "putPart"] as const) {
  const put = store.prototype[name];
  store.prototype[name] = async function (...args) {
    const streams: Writable[] = [];
    const result = await upload.run(streams, () => put.apply(this, args));
    await Promise.all(streams.map((stream) => finished(stream)));
    return result;
  };
}

const [directory, address, port] = process.argv.slice(2);
await new S3rver({ directory, address, port, silent: true, configureBuckets: [{ name: "images" }] }).run();
