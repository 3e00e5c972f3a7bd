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
    const suites = knownSuites(folder);
    const own = suites.filter(({ script }) => script === undefined);
    expect(own.map(({ distribution, name }) => `${distribution}:${name}`)).toEqual([
      "devuan:ceres",
      "ubuntu:gutsy",
      "debian:sid",
    ]);
    const told = (distribution: string, name: string, architecture = "amd64") => {
      const suite = suites.find((each) => each.distribution === distribution && each.name === name);
      return [suite?.script, suite?.mirror?.(architecture), suite?.keyring.split("/").at(-1)];
    };
    // What is newer than this debootstrap has the script of its like, and a mirror that is told.
    expect(told("ubuntu", "noble")).toEqual([
      ...["gutsy", "http://archive.ubuntu.com/ubuntu", "ubuntu-archive-keyring.gpg"],
    ]);
    expect(told("ubuntu", "noble", "arm64")[1]).toBe("http://ports.ubuntu.com/ubuntu-ports");
    expect(told("debian", "forky")).toEqual([
      ...["sid", "http://deb.debian.org/debian", "debian-archive-keyring.gpg"],
    ]);
    expect(told("devuan", "daedalus")).toEqual([
      ...["ceres", "http://deb.devuan.org/merged", "devuan-archive-keyring.gpg"],
    ]);
    writeFileSync(
      join(folder, "noble"),
      "default_mirror http://other\nkeyring /usr/share/keyrings/ubuntu-archive-keyring.gpg\n",
    );
    const known = knownSuites(folder).filter(({ name }) => name === "noble");
    expect(known.map(({ script, mirror }) => [script, mirror])).toEqual([[undefined, undefined]]);
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
