import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { findPackages } from "./packages.ts";
import { spdxDocument } from "./spdx.ts";

const root = mkdtempSync("/tmp/tug-packages-");
afterAll(() => rmSync(root, { recursive: true, force: true }));
const never = new AbortController().signal;

test("packages of rpm are in the bill of materials, with the epoch where package URLs have it", async () => {
  // As Fedora lays it out.
  const database = join(root, "usr/lib/sysimage/rpm/rpmdb.sqlite");
  mkdirSync(join(root, "usr/lib/sysimage/rpm"), { recursive: true });
  mkdirSync(join(root, "var/lib"), { recursive: true });
  mkdirSync(join(root, "etc"));
  symlinkSync("../../usr/lib/sysimage/rpm", join(root, "var/lib/rpm"));
  writeFileSync(join(root, "etc/os-release"), 'ID=fedora\nVERSION_ID="42"\n');
  writeFileSync(database, gunzipSync(readFileSync(join(import.meta.dir, "testdata/rpmdb.sqlite.gz"))));
  const document = spdxDocument("image", await findPackages(root, never), 0) as {
    packages: { name: string; externalRefs: { referenceLocator: string }[] }[];
  };
  expect(document.packages.map(({ externalRefs }) => externalRefs[0]?.referenceLocator)).toEqual([
    "pkg:rpm/fedora/hello-tug@1.2-3?arch=x86_64&distro=fedora-42&epoch=4",
    "pkg:rpm/fedora/plain@0.9~rc1-1?arch=noarch&distro=fedora-42",
  ]);
  writeFileSync(database, "no database");
  expect((await findPackages(root, never)).packages).toEqual([]);
});
