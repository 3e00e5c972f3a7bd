import { expect, test } from "bun:test";
import { apkPackages, dpkgPackages, npmPackage } from "./databases.ts";

test("dpkg's status tells of what is installed, and only of that", () => {
  const text =
    "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\nMaintainer: A <a@b.c>\nDescription: x\n y: z\n\n" +
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: half\n";
  expect(dpkgPackages(text, "f")).toEqual([
    {
      kind: "deb",
      name: "bash",
      version: "5.2-1",
      architecture: "amd64",
      license: "",
      supplier: "A <a@b.c>",
      source: "f",
    },
  ]);
});

test("apk's database has a letter for each member", () => {
  const found = apkPackages("C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:nothing\n", "f");
  expect(found).toMatchObject([{ kind: "apk", name: "musl", version: "1.2.5-r0", license: "MIT" }]);
});

test("what is no package.json of npm's is no package", () => {
  expect(npmPackage('{"name":"a","version":"1.0.0","license":"MIT"}', "f")).toMatchObject({ name: "a" });
  for (const text of ["", "[]", "null", '{"name":1,"version":"1"}', '{"name":"a"}'])
    expect(npmPackage(text, "f")).toBeUndefined();
});
