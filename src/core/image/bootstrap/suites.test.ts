import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { knownSuites, nearest } from "./suites.ts";

test("suites are what has a script with a keyring; Devuan's are told from Debian's", () => {
  const folder = mkdtempSync("/tmp/tug-suites-");
  try {
    writeFileSync(join(folder, "sid"), "keyring /usr/share/keyrings/debian-archive-keyring.gpg\n");
    writeFileSync(
      join(folder, "gutsy"),
      "if x; then\n  keyring /usr/share/keyrings/ubuntu-archive-keyring.gpg\nfi\n",
    );
    writeFileSync(join(folder, "unsigned"), "variants -\n");
    writeFileSync(join(folder, "sid.buildd"), "keyring /usr/share/keyrings/debian-archive-keyring.gpg\n");
    writeFileSync(join(folder, "debian-common"), "keyring /usr/share/keyrings/debian-archive-keyring.gpg\n");
    symlinkSync("sid", join(folder, "ceres"));
    symlinkSync("nowhere", join(folder, "broken"));
    expect(knownSuites(folder).map(({ distribution, name }) => `${distribution}:${name}`)).toEqual([
      "devuan:ceres",
      "ubuntu:gutsy",
      "debian:sid",
    ]);
    expect(knownSuites(join(folder, "none"))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a name is guessed only when it is near", () => {
  expect(nearest("bookwrom", ["bullseye", "bookworm"])).toBe("bookworm");
  expect(nearest("zesty", ["bullseye", "bookworm"])).toBeUndefined();
  expect(nearest("x", [])).toBeUndefined();
});
