import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { messageOf, TugError } from "../../../base/lib/errors.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../../base/lib/tar/writer.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import type { LocalSource } from "../../graph.ts";
import { sessionOf, stepOf, TestSteps } from "../testdata/steps.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { KeptTrees } from "./kept-trees.ts";
import { LocalRunner } from "./local.ts";

const never = new AbortController().signal;
let steps: TestSteps;
let trees: KeptTrees;
let root = "";

beforeAll(async () => {
  steps = await TestSteps.open();
});
// A root for each: what a test let go of is removed in the background.
beforeEach(async () => {
  root = mkdtempSync(join(steps.root, "trees-"));
  trees = await KeptTrees.open({ root, clock: systemClock, log: silentLog, bootId: "boot" });
});
afterAll(() => steps[Symbol.asyncDispose]());

type Member = readonly [entry: NewTarEntry, content?: string];

function tar(members: readonly Member[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [entry, content = ""] of members) {
    const bytes = Buffer.from(content);
    parts.push(tarHeader({ ...entry, size: bytes.length }), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, tarTrailer]);
}

async function* body(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}

function op(name: string, exclude: readonly string[]): LocalSource {
  return { kind: "local", name, session: "s", exclude, include: [] };
}

const good = tar([
  [{ path: "./b/deep/file", kind: "file", mode: 0o640, uid: 1000, gid: 1000, mtime: 5_000_000_000n }, "old"],
  [{ path: "Dockerfile", kind: "file", mode: 0o644 }, "FROM scratch"],
  [{ path: "b/deep/", kind: "directory", mode: 0o711 }],
  [{ path: "b/link", kind: "symlink", linkPath: "deep/file" }],
  [{ path: "/b/deep/file", kind: "file", mode: 0o600 }, "new"],
  [{ path: "twin", kind: "link", linkPath: "b/deep/file" }],
  [{ path: "x.log", kind: "file" }, "log"],
]);

test("the body of a classic build is unpacked once and is every directory that is asked for", async () => {
  for (const bytes of [good, Bun.gzipSync(new Uint8Array(good))]) {
    using files = await ArchiveFiles.receive({ trees }, "b1", body(bytes), never);
    const stop = new AbortController();
    const session = sessionOf({ files, signal: stop.signal });
    const runner = new LocalRunner({ trees });
    const dockerfile = await runner.snapshot(stepOf(op("dockerfile", ["Dockerfile"]), [], { session }));
    expect(readFileSync(join(trees.path(dockerfile), "Dockerfile"), "utf8")).toBe("FROM scratch");
    const step = stepOf(op("context", ["*.log", "Dockerfile"]), [], { session });
    const context = await runner.snapshot(step);
    const path = trees.path(context);
    expect(readdirSync(path).sort()).toEqual(["b", "twin"]);
    expect(readFileSync(join(path, "b/deep/file"), "utf8")).toBe("new");
    expect(statSync(join(path, "twin")).ino).toBe(statSync(join(path, "b/deep/file")).ino);
    expect(readlinkSync(join(path, "b/link"))).toBe("deep/file");
    const [deep, file] = ["b/deep", "b/deep/file"].map((one) => statSync(join(path, one)));
    expect([deep?.mode, file?.mode, file?.uid].map((n) => (n ?? 0) & 0o7777)).toEqual([0o711, 0o600, 0]);
    expect(await runner.key(step)).toMatch(/^sha256:/);
    for (const name of [dockerfile, context]) runner.release(name);
    stop.abort();
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(trees.list()).toEqual([]);
});

test("archives that leave their directory, or are none, are refused and leave nothing", async () => {
  const hostile: readonly (readonly [string, Buffer])[] = [
    ["outside", tar([[{ path: "../../etc/cron.d/x", kind: "file" }, "x"]])],
    ["255 bytes", tar([[{ path: `d/${"é".repeat(128)}`, kind: "file" }, "x"]])],
    [
      "outside of a directory",
      tar([[{ path: "l", kind: "symlink", linkPath: "/etc" }], [{ path: "l/passwd", kind: "file" }, "x"]]),
    ],
    ["hard link", tar([[{ path: "h", kind: "link", linkPath: "etc/shadow" }]])],
    ["outside", tar([[{ path: "h", kind: "link", linkPath: "../../../etc/shadow" }]])],
    ["is a device", tar([[{ path: "sda", kind: "block", deviceMajor: 8 }]])],
    ["no archive", Buffer.alloc(4096, "junk")],
    ["no archive", good.subarray(0, 700)],
    ["no archive", Buffer.concat([Buffer.from([0x1f, 0x8b, 8]), Buffer.alloc(100, 7)])],
  ];
  for (const [why, bytes] of hostile) {
    const told = await ArchiveFiles.receive({ trees }, "b2", body(bytes), never).then(
      () => "it went well",
      (error: unknown) => `${error instanceof TugError && error.code} ${messageOf(error)}`,
    );
    expect([why, told.startsWith("invalid-argument ") && told.includes(why) ? why : told]).toEqual([
      why,
      why,
    ]);
  }
  expect(readdirSync(root)).toEqual([]);
});

test("an archive may end with its last member's content, as docker build -f - sends it", async () => {
  const whole = tar([[{ path: "a", kind: "file" }, "hello"]]);
  const files = await ArchiveFiles.receive({ trees }, "b4", body(whole.subarray(0, 517)), never);
  const held = await files.tree([], never);
  expect(readFileSync(join(held.path, "a"), "utf8")).toBe("hello");
  files[Symbol.dispose]();
  held[Symbol.dispose]();
  // It is removed beside what goes on.
  await until(() => readdirSync(root).length === 0);
});

test("a body that ends early, and a client that goes away, leave nothing", async () => {
  const stop = new AbortController();
  const cut = async function* () {
    yield good.subarray(0, 1024);
    stop.abort(new Error("gone"));
    yield good.subarray(1024);
  };
  expect(await ArchiveFiles.receive({ trees }, "b3", cut(), stop.signal).catch(messageOf)).toBe("gone");
  expect(readdirSync(root)).toEqual([]);
});
