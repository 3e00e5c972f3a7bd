import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomNumbers } from "../testdata/random-numbers.ts";
import type { TarEntry } from "./entry.ts";
import { TarParser } from "./parser.ts";
import { parsePaxTime, paxRecord } from "./pax.ts";
import { readTar } from "./read.ts";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "./writer.ts";

let base = "";
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "tar-"));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Read {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

function parse(archive: Uint8Array, chunkSize = archive.length || 1): Read[] {
  const result: { entry: TarEntry; content: Buffer }[] = [];
  const parser = new TarParser({
    entry: (entry) => void result.push({ entry, content: Buffer.alloc(Math.min(entry.size, 1 << 24)) }),
    data: (chunk, offset) => void result.at(-1)?.content.set(chunk, offset),
    end: () => undefined,
  });
  for (let at = 0; at < archive.length; at += chunkSize) parser.push(archive.subarray(at, at + chunkSize));
  parser.finish();
  return result;
}

function archive(...entries: readonly (readonly [NewTarEntry, string?])[]): Buffer {
  const parts = entries.flatMap(([entry, text]) => {
    const content = Buffer.from(text ?? "");
    return [tarHeader({ size: content.length, ...entry }), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, tarTrailer]);
}

const rich: NewTarEntry[] = [
  { path: "plain", kind: "file", mode: 0o4755, uid: 1000, gid: 100, mtime: 1_700_000_000_000_000_000n },
  { path: `${"d/".repeat(60)}name`, kind: "file" },
  {
    path: "x".repeat(300),
    kind: "file",
    uid: 4_000_000_000,
    gid: 3_000_000,
    mtime: 1_700_000_000_123_456_789n,
  },
  { path: "Főtanúsítvány/caf\udce9", kind: "file", mtime: -1_500_000_000n },
  { path: "dir", kind: "directory", mode: 0o1777 },
  { path: "soft", kind: "symlink", linkPath: "y".repeat(150) },
  { path: "hard", kind: "link", linkPath: "plain" },
  { path: "null", kind: "char", deviceMajor: 1, deviceMinor: 3 },
  { path: "disk", kind: "block", deviceMajor: 259, deviceMinor: 3_000_000 },
  { path: "pipe", kind: "fifo" },
  {
    path: "attrs",
    kind: "file",
    userName: "root",
    groupName: "größe",
    xattrs: new Map([["security.capability", Buffer.from([1, 0, 0, 2, 10, 61, 0])]]),
  },
];

test("what the writer writes, the parser reads, whatever the chunks", () => {
  const bytes = archive(
    ...rich.map((entry, i) => [entry, entry.kind === "file" ? "z".repeat(i * 300) : ""] as const),
  );
  const whole = parse(bytes);
  for (const [i, { entry, content }] of whole.entries()) {
    const wanted = rich[i];
    if (!wanted) throw new Error("too many entries");
    expect(entry.path).toBe(wanted.kind === "directory" ? `${wanted.path}/` : wanted.path);
    for (const key of [
      "kind",
      "linkPath",
      "deviceMajor",
      "deviceMinor",
      "uid",
      "gid",
      "mtime",
      "groupName",
    ] as const) {
      if (wanted[key] !== undefined) expect(entry[key]).toEqual(wanted[key] as never);
    }
    if (wanted.mode !== undefined) expect(entry.mode).toBe(wanted.mode);
    for (const [key, value] of wanted.xattrs ?? []) expect(entry.xattrs.get(key)).toEqual(value);
    expect(content.length).toBe(entry.kind === "file" ? i * 300 : 0);
  }
  for (const size of [1, 7, 511, 512, 513, 4096]) expect(parse(bytes, size)).toEqual(whole);
});

test("GNU tar lists what the writer wrote", () => {
  const path = join(base, "ours.tar");
  writeFileSync(path, archive(...rich.map((entry) => [entry] as const)));
  const list = Bun.spawnSync(["tar", "--numeric-owner", "-tvf", path], {
    env: { LC_ALL: "C.UTF-8", TZ: "UTC" },
  });
  expect(list.stderr.toString()).toBe("");
  const lines = list.stdout.toString().split("\n");
  expect(lines[0]).toContain("-rwsr-xr-x 1000/100");
  expect(lines[2]).toContain("4000000000/3000000");
  expect(lines[5]).toContain(`soft -> ${"y".repeat(150)}`);
  expect(lines[6]).toContain("hard link to plain");
  expect(lines[8]).toContain("259,3000000");
});

test("archives of GNU tar in every format are read alike", () => {
  const tree = join(base, "tree");
  mkdirSync(join(tree, "deep/".repeat(30)), { recursive: true });
  writeFileSync(join(tree, "a"), "hello");
  writeFileSync(join(tree, "deep/".repeat(30), "n".repeat(90)), "long");
  Bun.spawnSync(["ln", join(tree, "a"), join(tree, "b")]);
  Bun.spawnSync(["ln", "-s", "t".repeat(120), join(tree, "c")]);
  Bun.spawnSync(["mkfifo", join(tree, "f")]);
  const listings = ["gnu", "pax", "oldgnu"].map((format) => {
    const path = join(base, `${format}.tar`);
    Bun.spawnSync(["tar", "--sort=name", `--format=${format}`, "-cf", path, "-C", tree, "."]);
    return parse(readFileSync(path), 1000).map(({ entry, content }) => [
      entry.path,
      entry.kind,
      entry.linkPath,
      entry.mode,
      content.toString(),
    ]);
  });
  expect(listings[0]?.length).toBe(36);
  expect(listings[1]).toEqual(listings[0] ?? []);
  expect(listings[2]).toEqual(listings[0] ?? []);
});

test("sparse files are read in all four formats", () => {
  const path = join(base, "sparse");
  Bun.spawnSync([
    "bash",
    "-c",
    `truncate -s 3M ${path}; for i in $(seq 0 2 30); do echo "block $i" | dd of=${path} bs=64k seek=$i conv=notrunc status=none; done`,
  ]);
  const content = readFileSync(path);
  for (const format of [
    ["--format=gnu"],
    ...["0.0", "0.1", "1.0"].map((version) => ["--format=pax", `--sparse-version=${version}`]),
  ]) {
    const out = join(base, "sparse.tar");
    Bun.spawnSync(["tar", "-S", ...format, "-cf", out, "-C", base, "sparse"]);
    const bytes = readFileSync(out);
    expect(bytes.length).toBeLessThan(1 << 20);
    const [only] = parse(bytes, 700);
    expect(only?.entry.path).toBe("sparse");
    expect(only?.entry.sparse).toBeDefined();
    expect(only?.content.equals(content)).toBe(true);
  }
});

test("damaged archives are refused with Go's texts", () => {
  const good = archive([{ path: "a", kind: "file" }, "hello"]);
  expect(() => parse(good.subarray(0, 600))).toThrow("unexpected EOF");
  expect(() => parse(good.subarray(0, 100))).toThrow("unexpected EOF");
  expect(() => parse(Buffer.alloc(0))).toThrow("unexpected EOF");
  expect(() => parse(Buffer.alloc(2000, "rubbish"))).toThrow("archive/tar: invalid tar header");
  const flipped = Buffer.from(good);
  flipped[0] = 0x62;
  expect(() => parse(flipped)).toThrow("archive/tar: invalid tar header");
  // Without the end-of-archive blocks an archive is whole all the same, as for Go.
  expect(parse(good.subarray(0, 1024)).length).toBe(1);
});

test("hostile sizes, ids, records and maps never get through", () => {
  const header = (change: (block: Buffer) => void) => {
    const block = tarHeader({ path: "a", kind: "file" });
    change(block);
    block.fill(0x20, 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return block;
  };
  const negative = header((b) => b.fill(0xff, 124, 136));
  expect(() => parse(negative)).toThrow("invalid tar header");
  const enormous = header((b) => b.fill(0x7f, 125, 136).fill(0x80, 124, 125));
  expect(() => parse(enormous)).toThrow("invalid tar header");
  const uid = header((b) => b.fill(0xff, 108, 116));
  expect(() => parse(uid)).toThrow("invalid tar header");
  const special = (type: string, body: Buffer) => {
    const block = header((b) => {
      b.write(type, 156);
      b.write(body.length.toString(8).padStart(11, "0"), 124);
    });
    return Buffer.concat([block, body, tarPadding(body.length), archive([{ path: "a", kind: "file" }])]);
  };
  const huge = special("L", Buffer.alloc(2 << 20, 0x61));
  expect(() => parse(huge)).toThrow("too long");
  for (const text of ["5 a=b\n", "99 path=x\n", "x path=y\n", "12 path=a\0b\n", "-1 a=b\n", "9 uid=-1\n"]) {
    expect(() => parse(special("x", Buffer.from(text)))).toThrow("invalid tar header");
  }
  for (const map of ["0,1,0,1", "5,1", "-1,1", "0", "0,99999999999999999999", "x,y"]) {
    const body = Buffer.concat([
      paxRecord("GNU.sparse.map", map),
      paxRecord("GNU.sparse.size", "5"),
      paxRecord("GNU.sparse.major", "0"),
    ]);
    expect(() => parse(special("x", body))).toThrow("invalid tar header");
  }
  expect(parse(special("x", paxRecord("path", "../../etc/passwd")))[0]?.entry.path).toBe("../../etc/passwd");
  expect(parse(special("g", paxRecord("path", "global")))[0]?.entry.path).toBe("a");
});

test("random damage never hangs the parser or makes it hold much", () => {
  const good = archive(...rich.map((entry) => [entry, entry.kind === "file" ? "data" : ""] as const));
  const seed = Number(process.env["TUG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
  const random = randomNumbers(seed);
  for (let i = 0; i < 3000; i++) {
    const bad = Buffer.from(good);
    for (let n = 0; n <= i % 5; n++) bad[Math.floor(random() * bad.length)] = Math.floor(random() * 256);
    try {
      parse(bad, 1 + (i % 2000));
    } catch (error) {
      if (!/TarError|RangeError/.test((error as Error).name))
        throw new Error(`seed ${seed}, round ${i}: ${error}`, { cause: error });
    }
  }
});

test("members can be read one by one, skipped, or partly read", async () => {
  const bytes = archive(
    [{ path: "a", kind: "file" }, "first"],
    [{ path: "b", kind: "file" }, "x".repeat(5000)],
    [{ path: "c", kind: "directory" }],
    [{ path: "d", kind: "file" }, "last"],
  );
  const chunks = async function* () {
    for (let at = 0; at < bytes.length; at += 300) yield bytes.subarray(at, at + 300);
  };
  const seen: string[] = [];
  for await (const member of readTar(chunks())) {
    if (member.entry.path === "b") for await (const _piece of member.pieces) break;
    else seen.push(`${member.entry.path}:${await member.bytes(10)}`);
  }
  expect(seen).toEqual(["a:first", "c/:", "d:last"]);
  const short = async () => {
    for await (const member of readTar(chunks())) await member.bytes(100);
  };
  await expect(short()).rejects.toThrow("longer than 100 bytes");
});

test("pax times keep nanoseconds, also before 1970", () => {
  expect(parsePaxTime("1.5")).toBe(1_500_000_000n);
  expect(parsePaxTime("-1.000000001")).toBe(-1_000_000_001n);
  expect(parsePaxTime("12.1234567891")).toBe(12_123_456_789n);
  expect(() => parsePaxTime("1e9")).toThrow();
});

test("an archive written twice is the same bytes", () => {
  const hash = () =>
    createHash("sha256")
      .update(archive(...rich.map((e) => [e] as const)))
      .digest("hex");
  expect(hash()).toBe(hash());
});
