import { expect, test } from "bun:test";
import type { BuildRequest, Output } from "../request.ts";
import { annotationsFor, imageFormat } from "./format.ts";

const host = { os: "linux", architecture: "amd64" };
const read = (attributes: Record<string, string>, epoch?: number, type: Output["type"] = "image") =>
  imageFormat({ epoch } as BuildRequest, { id: "", type, attributes }, host);

test("a date of the sources is every file's latest time unless that is refused", () => {
  expect(read({}, 5).rewrite).toBe(5);
  expect(read({ "rewrite-timestamp": "false" }, 5).rewrite).toBeUndefined();
  expect(read({}).rewrite).toBeUndefined();
  expect(() => read({ "rewrite-timestamp": "true" })).toThrow("set SOURCE_DATE_EPOCH");
});

test("annotations go where they say, for the platforms that they say", () => {
  const format = read(
    { "annotation.a": "1", "annotation-index.b": "2", "annotation-manifest[linux/arm64].c.d": "3" },
    undefined,
    "docker",
  );
  expect(format.oci).toBe(true);
  expect(annotationsFor(format, "manifest", host)).toEqual({ a: "1" });
  const arm = { os: "linux", architecture: "arm64" };
  expect(annotationsFor(format, "manifest", arm)).toEqual({ a: "1", "c.d": "3" });
  expect(annotationsFor(format, "index")).toEqual({ b: "2" });
  expect(annotationsFor(format, "index-descriptor")).toBeUndefined();
  expect(() => read({ "annotation-layer.x": "1" })).toThrow('invalid annotation "annotation-layer.x"');
});

test("compressions and levels are checked before anything is made", () => {
  expect(read({ compression: "zstd", "compression-level": "19" })).toMatchObject({
    compression: "zstd",
    level: 19,
  });
  expect(() => read({ compression: "estargz" })).toThrow("estargz is not written");
  expect(() => read({ compression: "lzma" })).toThrow('unsupported compression type "lzma"');
  expect(() => read({ "compression-level": "99" })).toThrow('compression-level "99"');
  for (const compression of [{}, { compression: "gzip" }])
    expect(() => read({ ...compression, "compression-level": "12" })).toThrow("0 to 9 for gzip");
  expect(read({ "compression-level": "9" })).toMatchObject({ compression: "gzip", level: 9 });
  expect(read({ "force-compression": "true" })).toMatchObject({ compression: "gzip", force: true });
});
