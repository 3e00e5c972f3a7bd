import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../../base/lib/tar/writer.ts";
import type { CopyAction } from "../../graph.ts";
import { copyOp, stepOf, TestSteps } from "../testdata/steps.ts";
import { FileRunner } from "./file-runner.ts";

// Each step is a process of its own.
setDefaultTimeout(60_000);

let steps: TestSteps;
let base: ChainId;

beforeAll(async () => {
  steps = await TestSteps.open();
  base = await steps.tree((root) => {
    for (const path of ["app/kept", "tmp"]) mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, "victim"), "untouched");
    symlinkSync("/app", join(root, "link"));
  });
});
afterAll(() => steps[Symbol.asyncDispose]());

function tar(members: readonly (readonly [entry: NewTarEntry, content?: string])[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [entry, content = ""] of members) {
    const bytes = Buffer.from(content);
    parts.push(tarHeader({ ...entry, size: bytes.length }), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, tarTrailer]);
}

async function added(
  files: Readonly<Record<string, Uint8Array>>,
  dest: string,
  more: Partial<CopyAction> = {},
): Promise<ChainId> {
  const source = await steps.tree((root) => {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(root, name), bytes);
  });
  const op = copyOp(Object.keys(files), dest, { unpack: true, instruction: "ADD", ...more });
  return await new FileRunner(steps).run(stepOf(op, [base, source]));
}

const plain = tar([
  [{ path: "d/", kind: "directory", mode: 0o711, uid: 7, gid: 8, mtime: 9_000_000_000n }],
  [{ path: "d/f", kind: "file", mode: 0o4750, uid: 5, gid: 6, mtime: 1_500_000_000n }, "content"],
  [{ path: "d/.wh.f", kind: "file" }, "a plain name"],
  [{ path: "s", kind: "symlink", linkPath: "d/f" }],
]);

test("archives of every compression are unpacked, other files are copied as they are", async () => {
  const compressed: Record<string, Uint8Array> = { "a.tar": plain };
  for (const [suffix, ...command] of [
    ["gz", "gzip"],
    ["bz2", "bzip2"],
    ["xz", "xz"],
    ["zst", "zstd", "-q"],
  ]) {
    const out = Bun.spawnSync([...command, "-c"], { stdin: plain });
    compressed[`a.${suffix}`] = out.stdout;
  }
  const all = await Promise.all(
    Object.entries(compressed).map(([name, bytes]) => added({ [name]: bytes }, "/x")),
  );
  for (const made of all) {
    steps.look(made, (root) => {
      expect(readdirSync(join(root, "x/d")).sort()).toEqual([".wh.f", "f"]);
      const [d, f] = [statSync(join(root, "x/d")), statSync(join(root, "x/d/f"))];
      expect([d.mode & 0o7777, d.uid, d.gid, d.mtimeMs]).toEqual([0o711, 7, 8, 9000]);
      expect([f.mode & 0o7777, f.uid, f.gid, f.mtimeMs]).toEqual([0o4750, 5, 6, 1500]);
      expect(lstatSync(join(root, "x/s")).isSymbolicLink()).toBe(true);
    });
  }
  const others = {
    "text.gz": Bun.gzipSync("no archive"),
    junk: Buffer.alloc(5000, 1),
    empty: Buffer.alloc(0),
    zeros: Buffer.alloc(2048),
  };
  steps.look(await added(others, "/x/"), (root) => {
    for (const [name, bytes] of Object.entries(others))
      expect(readFileSync(join(root, "x", name)).equals(bytes)).toBe(true);
  });
});

test("without unpacking an archive is a file, and --chown is for what is unpacked too", async () => {
  steps.look(await added({ "a.tar": plain }, "/x/", { unpack: false }), (root) =>
    expect(readFileSync(join(root, "x/a.tar")).equals(plain)).toBe(true),
  );
  const owner = { user: "33", group: "44" };
  steps.look(await added({ "a.tar": plain }, "/link/new", { owner }), (root) => {
    for (const path of ["app/new", "app/new/d", "app/new/d/f", "app/new/s"]) {
      const stat = lstatSync(join(root, path));
      expect([path, stat.uid, stat.gid]).toEqual([path, 33, 44]);
    }
  });
});

test("an archive writes into its destination's root only, whatever its names and links say", async () => {
  const hostile = [
    tar([[{ path: "../../victim", kind: "file" }, "pwned"]]),
    tar([[{ path: "h", kind: "link", linkPath: "../../victim" }]]),
  ];
  for (const bytes of hostile)
    expect(await added({ "a.tar": bytes }, "/app/kept").then(() => "it went well", messageOf)).toMatch(
      /is outside of|invalid hardlink/,
    );
  const escaping = tar([
    [{ path: "out", kind: "symlink", linkPath: "/../../../../../../../../tmp" }],
    [{ path: "out/tug-escaped", kind: "file" }, "inside"],
    [{ path: "/absolute", kind: "file" }, "inside"],
    [{ path: "up", kind: "symlink", linkPath: "../../../.." }],
    [{ path: "up/victim2", kind: "file" }, "inside"],
  ]);
  steps.look(await added({ "a.tar": escaping }, "/app"), (root) => {
    expect(readFileSync(join(root, "tmp/tug-escaped"), "utf8")).toBe("inside");
    expect(readFileSync(join(root, "app/absolute"), "utf8")).toBe("inside");
    expect(readFileSync(join(root, "victim2"), "utf8")).toBe("inside");
    expect(readFileSync(join(root, "victim"), "utf8")).toBe("untouched");
  });
  expect(existsSync("/tmp/tug-escaped")).toBe(false);
});

test("what a bomb made goes with its step", async () => {
  // It tells of a terabyte and ends after 64 MiB, a thousandth of which is sent.
  const head = tarHeader({ path: "zeros", kind: "file", size: 2 ** 40 });
  const bomb = Bun.gzipSync(Buffer.concat([head, Buffer.alloc(64 << 20)]));
  const before = [...steps.snapshotter.list()].length;
  expect(await added({ "bomb.tgz": bomb }, "/x").catch(messageOf)).toBe("unexpected EOF");
  // The source that was made for it is one more.
  expect([...steps.snapshotter.list()].length).toBe(before + 1);
});
