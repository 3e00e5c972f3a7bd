import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Packet } from "../../spec/buildkit/fsutil.gen.ts";
import { FrameDecoder, FrameWriter } from "../framing.ts";
import type { RpcStream } from "../stream.ts";
import { directoryTree, type TreeFilter } from "./directory.ts";
import { fileType, fromGoMode, fromStat, type TreeEntry, toGoMode, toStat, WalkOrder } from "./entry.ts";
import { pathsBehindLinks } from "./follow.ts";
import { packet, type TreePacket, PacketType as Type, treePackets } from "./packet.ts";
import { receiveTree } from "./receive.ts";
import { sendTree } from "./send.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tug-tree-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function files(...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), `content of ${path}`);
  }
}

const walk = (filter: Partial<TreeFilter> = {}) => [
  ...directoryTree(root, { include: [], exclude: [], follow: [], owner: "root", ...filter }).walk(),
];
const paths = (filter: Partial<TreeFilter> = {}) => walk(filter).map((entry) => entry.path);

const regular = (path: string, fields: Partial<TreeEntry> = {}): TreeEntry => ({
  path,
  mode: fileType.regular | 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  linkname: "",
  devmajor: 0,
  devminor: 0,
  xattrs: {},
  ...fields,
});
const directory = (path: string) => regular(path, { mode: fileType.directory | 0o755 });

describe("a tree that is sent", () => {
  test("comes parents first, siblings by the bytes of their names", () => {
    files("b/x", "b-c", "b.c", "a", "\u{10000}", "\uffee");
    expect(paths()).toEqual(["a", "b", "b/x", "b-c", "b.c", "\uffee", "\u{10000}"].sort(byBytes));
    expect(() => {
      const order = new WalkOrder();
      for (const entry of walk()) order.check(entry);
    }).not.toThrow();
  });

  test("holds what is included and not excluded, with the directories above it", () => {
    files("src/a.c", "src/a.o", "src/deep/b.c", "doc/x", "README");
    expect(paths({ include: ["src/deep", "README"] })).toEqual(["README", "src", "src/deep", "src/deep/b.c"]);
    expect(paths({ exclude: ["src", "!src/deep/b.c", "doc"] })).toEqual([
      "README",
      "src",
      "src/deep",
      "src/deep/b.c",
    ]);
    expect(paths({ include: ["**/*.c"], exclude: ["src/deep"] })).toEqual(["src", "src/a.c"]);
  });

  test("names hard links by their first name that is sent", () => {
    files("a/first");
    linkSync(join(root, "a/first"), join(root, "b"));
    expect(walk().map(({ path, linkname }) => [path, linkname])).toEqual([
      ["a", ""],
      ["a/first", ""],
      ["b", "a/first"],
    ]);
    expect(walk({ exclude: ["a"] }).map(({ path, linkname }) => [path, linkname])).toEqual([["b", ""]]);
  });

  test("follows links on the way to what is asked for, and never out of the root", () => {
    files("real/deep/file", "other");
    symlinkSync("real", join(root, "alias"));
    symlinkSync("/other", join(root, "real/deep/absolute"));
    symlinkSync("../../../../../etc/passwd", join(root, "up"));
    symlinkSync("loop-b", join(root, "loop-a"));
    symlinkSync("loop-a", join(root, "loop-b"));
    expect(pathsBehindLinks(root, ["alias/deep/file"])).toEqual(["alias", "real/deep/file"]);
    expect(pathsBehindLinks(root, ["real/deep/abs*"])).toEqual(["other", "real/deep/abs*"]);
    expect(pathsBehindLinks(root, ["up"])).toEqual(["etc/passwd", "up"]);
    expect(pathsBehindLinks(root, ["loop-a"])).toEqual(["loop-a", "loop-b"]);
    symlinkSync(".", join(root, "self"));
    expect(pathsBehindLinks(root, ["self"])).toBeUndefined();
    expect(paths({ follow: ["alias/deep/file"] })).toEqual(["alias", "real", "real/deep", "real/deep/file"]);
  });
});

const byBytes = (a: string, b: string) => {
  const key = (path: string) => Buffer.from(path.replaceAll("/", "\0"));
  return Buffer.compare(key(a), key(b));
};

describe("modes", () => {
  test("of every type and with special bits go to Go's and back", () => {
    for (const type of Object.values(fileType).filter((value) => value !== fileType.mask)) {
      for (const bits of [0, 0o644, 0o4755, 0o2711, 0o1777, 0o7777])
        expect(fromGoMode(toGoMode(type | bits))).toBe(type | bits);
    }
    // As Go has them: os.ModeDir|0755, os.ModeSymlink|0777, os.ModeSetuid|0755.
    expect(toGoMode(0o040755)).toBe(0x8000_01ed);
    expect(toGoMode(0o120777)).toBe(0x0800_01ff);
    expect(toGoMode(0o104755)).toBe(0x0080_01ed);
  });
});

describe("a sender that does harm", () => {
  test("is refused paths that lead away, come twice, out of order or without their directory", () => {
    const refused = (...entries: readonly TreeEntry[]) =>
      expect(() => {
        const order = new WalkOrder();
        for (const entry of entries) order.check(entry);
      });
    for (const path of ["", "..", "../x", "/etc", "a/", "./a", "a\0b", "x".repeat(5000)])
      refused(regular(path)).toThrow();
    refused(directory("a"), regular("a/..")).toThrow("invalid path");
    refused(regular("a/b")).toThrow("came without its directory");
    refused(regular("a"), regular("a/b")).toThrow("came without its directory");
    refused(regular("b"), regular("a")).toThrow("came out of order");
    refused(regular("a"), regular("a")).toThrow("came out of order");
    // A link that takes the place of a directory in which more would be written.
    refused(regular("a", { mode: fileType.symlink | 0o777, linkname: "/etc" }), regular("a/b")).toThrow(
      "came without its directory",
    );
    refused(regular("a", { linkname: "/etc/shadow" })).toThrow("which did not come before it");
    refused(regular("a"), regular("b", { linkname: "a" })).not.toThrow();
  });

  test("is refused content that nobody asked for, and an early end", async () => {
    const none = { entry: () => false, content: async () => undefined, finish: async () => undefined };
    const wire = (fields: Partial<TreePacket>) => treePackets.encode(packet(fields)).finish();
    const data = wire({ type: Type.DATA, id: 0, data: Buffer.from("x") });
    await expect(receiveTree(scripted([wire({ entry: regular("a") }), data]), none)).rejects.toThrow(
      "invalid file request 0",
    );
    await expect(receiveTree(scripted([wire({ type: Type.FIN })]), none)).rejects.toThrow(
      "ended the transfer early",
    );
    await expect(receiveTree(scripted([]), none)).rejects.toThrow("ended the transfer early");
    const told = wire({ type: Type.ERR, data: Buffer.from("disk on fire") });
    await expect(receiveTree(scripted([told]), none)).rejects.toThrow("error from sender: disk on fire");
  });

  test("of requests: an id that names no file ends the transfer", async () => {
    files("a");
    const tree = directoryTree(root, { include: [], exclude: [], follow: [], owner: "root" });
    await expect(sendTree(scripted([packet({ type: Type.REQ, id: 7 })]), tree)).rejects.toThrow(
      "invalid file id 7",
    );
  });
});

/** A peer that says these packets and nothing more. */
function scripted<In = TreePacket>(packets: readonly In[]): RpcStream<In, TreePacket> {
  const left = [...packets];
  return {
    next: async () => left.shift(),
    nextNow: () => undefined,
    send: async () => undefined,
    signal: new AbortController().signal,
    received: 0,
  };
}

describe("packets", () => {
  const shapes: readonly TreePacket[] = [
    packet({}),
    ...[
      regular("a"),
      regular("src/part-7/größe-\u{10000}.txt", { size: 3, mtime: 1_790_000_000_123_456_789n }),
      regular("x".repeat(4000), { size: 2 ** 31, uid: 0xffff_ffff, gid: 1000, mtime: 1n }),
      regular("old", { size: 2 ** 52, mtime: -1_000_000_001n }),
      regular("edge", { mtime: (1n << 28n) - 1n, size: 127 }),
      regular("later", { mtime: 1n << 28n, size: 128, linkname: "a" }),
      regular("last", { mtime: (1n << 63n) - 1n, size: 16_384 }),
      regular("with", { xattrs: { "user.a": Buffer.from("b") } }),
      regular("dev/null", { mode: fileType.character | 0o666, devmajor: 1, devminor: 3 }),
      regular("link", { mode: fileType.symlink | 0o777, linkname: "zur Größe" }),
      regular("sticky", { mode: fileType.directory | 0o7777 }),
    ].map((entry) => packet({ entry })),
    packet({ type: Type.REQ, id: 1 }),
    packet({ type: Type.REQ, id: 0xffff_ffff }),
    packet({ type: Type.DATA, id: 300, data: Buffer.from("content") }),
    packet({ type: Type.DATA, id: 1, data: Buffer.alloc(200_000, 7) }),
    packet({ type: Type.DATA }),
    packet({ type: Type.FIN }),
    packet({ type: Type.ERR, data: Buffer.from("why") }),
  ];

  test("are on the wire what BuildKit's own codec writes, and read as what they were", () => {
    for (const shape of shapes) {
      const writer = new FrameWriter();
      if (!treePackets.writeTo?.(shape, writer)) writer.append(treePackets.encode(shape).finish());
      const found: Uint8Array[] = [];
      new FrameDecoder(1 << 20).push(writer.take(), (message) => found.push(message));
      const { type, entry, id, data } = shape;
      const told = Packet.encode(
        Packet.create({ type, stat: entry && toStat(entry), id, data: Uint8Array.from(data) }),
      ).finish();
      expect(found.map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual([
        Buffer.from(told).toString("hex"),
      ]);
      const read = treePackets.decode(told);
      expect({ ...read, data: Buffer.from(read.data) }).toEqual({ ...shape, data: Buffer.from(data) });
    }
  });

  test("read the same with unknown fields, in any order, and bad ones are refused as by BuildKit's codec", () => {
    const seed = Number(process.env["TUG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
    let state = seed;
    const next = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return (state >>> 8) % below;
    };
    const whole = (bytes: Uint8Array) => {
      const { type, stat, id, data } = Packet.decode(bytes);
      return { type, stat, id, data: Buffer.from(data) };
    };
    const ours = (bytes: Uint8Array) => {
      const { type, entry, id, data } = treePackets.decode(bytes);
      return { type, stat: entry && toStat(entry), id, data: Buffer.from(data) };
    };
    const told = (read: (bytes: Uint8Array) => unknown, bytes: Uint8Array) => {
      try {
        return read(bytes);
      } catch {
        return "refused";
      }
    };
    for (let round = 0; round < 20_000; round++) {
      const shape = shapes[next(shapes.length)] ?? packet({});
      if (shape.data.length > 1000) continue;
      const bytes = Buffer.from(treePackets.encode(shape).finish());
      for (let flips = next(4); flips > 0 && bytes.length > 0; flips--) bytes[next(bytes.length)] = next(256);
      const cut = bytes.subarray(0, next(8) === 0 ? next(bytes.length + 1) : bytes.length);
      const expected = told(whole, cut) as ReturnType<typeof whole> | "refused";
      const got = told(ours, cut);
      // Types of Go's mode that no file has come back as one that a file has: compared as they are read.
      const plain =
        expected === "refused" || !expected.stat
          ? expected
          : { ...expected, stat: toStat(fromStat(expected.stat)) };
      expect({ seed, round, got }).toEqual({ seed, round, got: plain });
    }
  });
});

describe("a tree that is told again", () => {
  const told = (...entries: readonly TreeEntry[]) =>
    [...entries.map((entry) => packet({ entry })), packet({})].map((each) =>
      treePackets.encode(each).finish(),
    );
  const fin = treePackets.encode(packet({ type: Type.FIN })).finish();

  /** What a target hears that remembers `lately`. */
  async function heard(packets: readonly Uint8Array[], lately: Uint8Array | undefined) {
    const entries: string[] = [];
    let [unchanged, finished] = [0, 0];
    let remembered: Uint8Array | undefined;
    await receiveTree(scripted([...packets, fin]), {
      lately,
      entry: ({ path }) => {
        entries.push(path);
        return false;
      },
      unchanged: () => void unchanged++,
      remember: (bytes) => {
        remembered = bytes;
      },
      content: async () => undefined,
      finish: async () => void finished++,
    });
    return { entries, unchanged, finished, remembered };
  }
  const before = [directory("a"), regular("a/b", { mtime: 5n }), regular("c", { size: 3 })] as const;

  test("as before is not read again, and one that differs anywhere is read as a whole", async () => {
    const first = await heard(told(...before), undefined);
    expect(first).toMatchObject({ entries: ["a", "a/b", "c"], unchanged: 0, finished: 1 });
    const { remembered } = first;
    const again = await heard(told(...before), remembered);
    expect(again).toEqual({ entries: [], unchanged: 1, finished: 1, remembered: undefined });
    const others: readonly (readonly TreeEntry[])[] = [
      [directory("a"), regular("a/b", { mtime: 6n }), regular("c", { size: 3 })],
      [directory("a"), regular("a/b", { mtime: 5n })],
      [directory("a"), regular("a/b", { mtime: 5n }), regular("c", { size: 3 }), regular("d")],
      [directory("b"), regular("b/b", { mtime: 5n }), regular("c", { size: 3 })],
      [],
    ];
    for (const entries of others) {
      const other = await heard(told(...entries), remembered);
      expect(other.entries).toEqual(entries.map(({ path }) => path));
      expect(other.unchanged).toBe(0);
      expect(await heard(told(...entries), other.remembered)).toMatchObject({ entries: [], unchanged: 1 });
    }
  });

  test("is held to walking order across what is the same and what is not", async () => {
    const { remembered } = await heard(told(...before), undefined);
    const twice = told(directory("a"), regular("a/b", { mtime: 5n }), regular("a/b", { mtime: 5n }));
    await expect(heard(twice, remembered)).rejects.toThrow("came out of order");
    await expect(heard([...told(...before), ...told(regular("d"))], remembered)).rejects.toThrow(
      "an entry came after the last one",
    );
  });
});
