import { expect, test } from "bun:test";
import type { Digest } from "../../base/lib/ids.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { checkPushable, isKnownPlatform, listDocument } from "./list-document.ts";
import { fullReference, type StoredManifest, storedManifest } from "./store.ts";

const digest = `sha256:${"a".repeat(64)}` as Digest;
const manifest = (name: string, mediaType: string, architecture = "amd64"): StoredManifest =>
  storedManifest(name, { mediaType, digest, size: 7, platform: { architecture, os: "linux" } }, '{"a": 1}');

test("the first manifest decides whether a list is OCI's or Docker's, and members stand in Docker's order", () => {
  const list = listDocument("reg.test/l:1", [manifest("reg.test/a:1", mediaTypes.ociManifest)]);
  expect(list.mediaType).toBe(mediaTypes.ociIndex);
  expect(list.text).toBe(`{
   "schemaVersion": 2,
   "mediaType": "${mediaTypes.ociIndex}",
   "manifests": [
      {
         "mediaType": "${mediaTypes.ociManifest}",
         "size": 7,
         "digest": "${digest}",
         "platform": {
            "architecture": "amd64",
            "os": "linux"
         }
      }
   ]
}`);
  const older = listDocument("reg.test/l:1", [manifest("reg.test/a:1", mediaTypes.dockerManifest)]);
  expect(older.mediaType).toBe(mediaTypes.dockerList);
});

test("a list takes manifests of its own registry only, and to be pushed each must say what it is for", () => {
  const foreign = [manifest("other.test/a:1", mediaTypes.ociManifest)];
  expect(() => listDocument("reg.test/l:1", foreign)).toThrow(
    "cannot use source images from a different registry than the target image: other.test != reg.test",
  );
  expect(() => checkPushable([manifest("reg.test/a:1", mediaTypes.ociManifest, "")])).toThrow(
    "manifest reg.test/a:1 must have an OS and Architecture to be pushed to a registry",
  );
  expect(isKnownPlatform("linux", "riscv64")).toBe(true);
  expect(isKnownPlatform("linux", "vax")).toBe(false);
});

test("names are kept whole, and a stored manifest holds the document's own bytes", () => {
  expect(fullReference("busybox").name).toBe("docker.io/library/busybox:latest");
  expect(fullReference(`busybox@${digest}`).name).toBe(`docker.io/library/busybox@${digest}`);
  const stored = manifest("reg.test/a:1", mediaTypes.dockerManifest);
  expect(Buffer.from(stored.Raw, "base64").toString()).toBe('{"a": 1}');
  expect(stored.SchemaV2Manifest).toEqual({ a: 1 });
});
