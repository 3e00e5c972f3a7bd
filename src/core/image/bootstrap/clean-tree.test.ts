import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { cleanTree } from "./clean-tree.ts";

let root = "";
const put = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const times = { epoch: 1_000_000_000, started: 1_700_000_000 };

beforeEach(() => {
  root = mkdtempSync("/tmp/tug-clean-");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("what tells of the run, the host or the day is gone or emptied", () => {
  for (const path of [
    "etc/hostname",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/archives/a.deb",
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf/config.dat-old",
    "var/lib/apt/lists/x",
    "var/lib/dbus/machine-id",
    "var/log/dpkg.log",
    "var/log/apt/history.log",
    "debootstrap/suite",
    "run/pid",
    "tmp/x",
  ])
    put(path, "x");
  put("etc/machine-id", "0123");
  put("var/log/wtmp", "x");
  put("run/lock/.keep", "");
  cleanTree(root, times);
  const left = Array.from(new Bun.Glob("**/*").scanSync({ cwd: root, dot: true })).sort();
  expect(left).toEqual(["etc/machine-id", "run/lock/.keep", "var/log/wtmp"]);
  for (const path of ["etc/machine-id", "var/log/wtmp"])
    expect(readFileSync(join(root, path), "utf8")).toBe("");
  expect(existsSync(join(root, "var/cache/apt"))).toBe(true);
});

test("passwords set today were set on the epoch's day, older ones keep theirs", () => {
  const today = Math.floor(times.started / 86_400);
  put("etc/shadow", `root:*:${today}:0:99999:7:::\nold:!:12000:0::::\nnone:*::::::\n`);
  cleanTree(root, times);
  expect(readFileSync(join(root, "etc/shadow"), "utf8")).toBe(
    "root:*:11574:0:99999:7:::\nold:!:12000:0::::\nnone:*::::::\n",
  );
});

test("links in it are not followed", () => {
  put("elsewhere/kept", "x");
  mkdirSync(join(root, "var"));
  symlinkSync("../elsewhere", join(root, "var/log"));
  symlinkSync("elsewhere", join(root, "tmp"));
  cleanTree(root, times);
  expect(readFileSync(join(root, "elsewhere/kept"), "utf8")).toBe("x");
});
