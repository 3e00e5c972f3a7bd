import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  base256,
  directory,
  file,
  gnuLong,
  gnuSparse,
  hardlink,
  member,
  pax,
  paxRecord,
  symlink,
  tarEnd,
} from "../../harness/raw-tar.ts";

/** A layer that attacks, or only looks as if, and what becomes of it. */
export interface Layer {
  /** The attack, or the habit of a builder, in a few words. */
  readonly name: string;
  readonly tar: readonly Uint8Array[];
  /** How the blob is stored; gzip unless told. */
  readonly packed?: (tar: Buffer) => Buffer;
  /** Without the two blocks of zeros. */
  readonly open?: true;
  /** What the refusal says. */
  readonly refused?: RegExp;
  /** What the layer's directory holds then, as `listing` tells it; not looked at when absent. */
  readonly tree?: readonly string[];
  /** Takes seconds: once is enough. */
  readonly slow?: true;
  /** May be refused or taken: the host's file system decides (sizes, owners). */
  readonly either?: RegExp;
}

/** The layer below each of them: things to walk through, to hide and to link to. `canary` is a directory of the host. */
export function baseLayer(canary: string): Buffer {
  return Buffer.concat([
    directory("etc/"),
    file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
    directory("data"),
    file("data/keep", "kept"),
    symlink("absolute", "/data"),
    symlink("upwards", "../../../../data"),
    symlink("out", canary),
    file("plain", "plain"),
    gnuSparse("holes", [[2n ** 40n - 1n, 1n]], 2n ** 40n, "y"),
    tarEnd,
  ]);
}

const many = (count: number, make: (index: number) => Buffer) =>
  Array.from({ length: count }, (_, i) => make(i));
const outside = /is outside of/;
const invalid = /invalid tar header/;
const short = /unexpected EOF/;
const long = "n".repeat(5000);
const ordinary = ["d etc", "f etc/x x"];
const after = [directory("etc"), file("etc/x")];
const pairs = (...list: readonly (readonly [number, number])[]) =>
  list.map(([a, b]) => [BigInt(a), BigInt(b)] as const);
/** Of the layers with many members: 100,000 is what is honest, and takes a minute on slow disks. */
const entries = Number(process.env["TUG_HOSTILE_ENTRIES"] ?? 500);

/** Names that lead out. */
function traversal(canary: string): readonly Layer[] {
  const inside = canary.slice(1);
  const parents = inside.split("/").map((_, i, all) => `d ${all.slice(0, i + 1).join("/")}`);
  const landed = [...parents, `f ${inside}/victim x`];
  const up = "../".repeat(20);
  return [
    { name: "a name that begins with ../", tar: [file("../victim")], refused: outside },
    { name: "a name that leaves after entering", tar: [file("etc/../../victim")], refused: outside },
    { name: "many ../ to a file of the host", tar: [file(`${up}${inside}/victim`)], refused: outside },
    { name: "../ as a directory", tar: [directory("../evil/")], refused: outside },
    { name: "a name that is ..", tar: [directory("..")], refused: outside },
    { name: "an absolute name", tar: [file(`${canary}/victim`)], tree: landed },
    { name: "an absolute name with ..", tar: [file(`/../..${canary}/victim`)], tree: landed },
    { name: "many slashes and dots", tar: [file(`////././/${inside}/./victim`)], tree: landed },
    { name: "a file that is the root", tar: [file("./", "x"), ...after], tree: ordinary },
    { name: "a link that is the root", tar: [symlink("/", canary), file("victim")], tree: ["f victim x"] },
    { name: "an empty name", tar: [member({ name: "", data: "x" }), ...after], tree: ordinary },
    { name: "hard link to ../", tar: [hardlink("x", `${up}etc/passwd`)], refused: outside },
    {
      name: "hard link to an absolute file of the host",
      tar: [hardlink("x", `${canary}/victim`)],
      refused: /no such file/,
    },
    {
      name: "hard link to an absolute name means the image's",
      tar: [hardlink("x", "/etc/passwd")],
      tree: ["d etc", "f etc/passwd root:x:0:0::/:/bin/sh\\n", "f x root:x:0:0::/:/bin/sh\\n"],
    },
    {
      name: "hard link through a link that leads out",
      tar: [hardlink("x", "out/victim")],
      refused: /no such file/,
    },
    { name: "hard link to the root", tar: [hardlink("x", "/")], refused: outside },
    { name: "hard link to a directory", tar: [directory("d"), hardlink("x", "d")], refused: /not permitted/ },
    {
      name: "hard link to a name that comes later",
      tar: [hardlink("x", "later"), file("later")],
      refused: /no such file/,
    },
    { name: "hard link to itself", tar: [file("x"), hardlink("x", "x")], tree: ["f x x"] },
    {
      name: "hard link to a file that becomes a link out, then written",
      tar: [file("a", "1"), hardlink("b", "a"), symlink("a", `${canary}/victim`), file("b", "2")],
      tree: [`l a ${canary}/victim`, "f b 2"],
    },
    {
      name: "hard link to a link out, then written",
      tar: [symlink("a", `${canary}/victim`), hardlink("b", "a"), file("b", "2")],
      tree: [`l a ${canary}/victim`, "f b 2"],
    },
    {
      name: "pax path over an innocent name",
      tar: [pax({ path: `${up}${inside}/victim` }), file("ok")],
      refused: outside,
    },
    {
      name: "pax linkpath over an innocent link",
      tar: [pax({ linkpath: `${up}etc/passwd` }), hardlink("ok", "plain")],
      refused: outside,
    },
    {
      name: "GNU long name with ../",
      tar: [gnuLong("L", `${up}${inside}/victim`), file("ok")],
      refused: outside,
    },
    {
      name: "GNU long link with ../",
      tar: [gnuLong("K", `${up}etc/passwd`), hardlink("ok", "plain")],
      refused: outside,
    },
    {
      name: "prefix field with ../",
      tar: [file("victim", "x", { patch: [[345, "../.."]] })],
      refused: outside,
    },
    {
      name: "GNU.sparse.name with ../",
      tar: [
        pax({ "GNU.sparse.name": `${up}${inside}/victim`, "GNU.sparse.size": "1", "GNU.sparse.map": "0,1" }),
        file("ok"),
      ],
      refused: outside,
    },
  ];
}

/** Links that are written through. */
function links(canary: string): readonly Layer[] {
  const inside = canary.slice(1);
  const parents = inside.split("/").map((_, i, all) => `d ${all.slice(0, i + 1).join("/")}`);
  const landed = [...parents, `f ${inside}/victim x`];
  const up = "../".repeat(20);
  return [
    {
      name: "a link out, then a file below it",
      tar: [symlink("evil", canary), file("evil/victim")],
      tree: [`l evil ${canary}`, ...landed],
    },
    {
      name: "a relative link out, then a file below it",
      tar: [symlink("evil", `${up}${inside}`), file("evil/victim")],
      tree: [`l evil ${up}${inside}`, ...landed],
    },
    {
      name: "a chain of links out",
      tar: [symlink("a", "b"), symlink("b", "/c"), symlink("c", canary), file("a/victim")],
      tree: ["l a b", "l b /c", `l c ${canary}`, ...landed],
    },
    { name: "a link of the layer below that leads out", tar: [file("out/victim")], tree: landed },
    {
      name: "a link out as the file that is written",
      tar: [symlink("victim", `${canary}/victim`), file("victim")],
      tree: ["f victim x"],
    },
    {
      name: "a link out whose mode is set as a directory",
      tar: [symlink("evil", canary), directory("evil", { mode: 0o777 })],
      tree: ["d! evil"],
    },
    {
      name: "a link out whose mode is set with a slash",
      tar: [symlink("evil", canary), directory("evil/", { mode: 0o777 })],
      tree: ["d! evil"],
    },
    {
      name: "a link out whose mode is set as evil/.",
      tar: [symlink("evil", canary), directory("evil/.", { mode: 0o777 })],
      tree: ["d! evil"],
    },
    {
      name: "a link out with attributes, owner and times",
      tar: [
        pax({ "SCHILY.xattr.user.x": "1", "SCHILY.xattr.trusted.x": "1" }),
        member({ name: "l", type: "2", link: `${canary}/victim`, uid: 7, mode: 0o4777 }),
      ],
      tree: [`l l ${canary}/victim`],
    },
    {
      name: "links in a circle",
      tar: [symlink("a", "b"), symlink("b", "a"), file("a/x")],
      refused: /too many levels/i,
    },
    { name: "a link to itself", tar: [symlink("a", "a"), file("a/x")], refused: /too many levels/i },
    {
      name: "a hundred links one after the other",
      tar: [...many(100, (i) => symlink(`l${i}`, `l${i + 1}`)), file("l0/x")],
      refused: /too many levels/i,
    },
    {
      name: "a link that goes up from its own directory",
      tar: [symlink("data/up", ".."), file("data/up/data/up/x")],
      tree: ["d data", "l data/up ..", "f x x"],
    },
    { name: "a link with an empty target", tar: [symlink("a", "")], refused: /./ },
    { name: "a parent that is a file", tar: [file("plain/x")], tree: ["d plain", "f plain/x x"] },
    {
      name: "a parent that is a fifo",
      tar: [member({ name: "p", type: "6" }), file("p/x")],
      refused: /not a directory/i,
    },
    { name: "a fifo that is written", tar: [member({ name: "p", type: "6" }), file("p")], tree: ["f p x"] },
    {
      name: "a device that is written",
      tar: [member({ name: "z", type: "3", major: 1, minor: 5 }), file("z")],
      tree: ["f z x"],
    },
    {
      name: "a directory that becomes a link, its children later",
      tar: [directory("data"), file("data/a"), symlink("data", canary), file("data/victim")],
      tree: [`l data ${canary}`, ...landed],
    },
    {
      name: "one name as every type in turn",
      tar: [
        file("n"),
        directory("n"),
        file("n/a"),
        symlink("n", "/etc"),
        member({ name: "n", type: "6" }),
        hardlink("n", "plain"),
        directory("n"),
        file("n/b"),
      ],
      tree: ["d! n", "f n/b x", "f plain plain"],
    },
    {
      name: "two thousand parents nobody told of",
      slow: true,
      tar: [pax({ path: `${"d/".repeat(2000)}x` }), file("ok")],
    },
    {
      name: "directories deeper than any path, through links",
      slow: true,
      refused: /file name too long/,
      tar: many(6, (i) =>
        i === 0
          ? Buffer.concat([
              pax({ path: `${"d/".repeat(1900)}x` }),
              file("ok"),
              pax({ linkpath: `/${"d/".repeat(1900)}` }),
              symlink("l0", "x"),
            ])
          : Buffer.concat([
              pax({ path: `l${i - 1}/${"d/".repeat(1900)}x` }),
              file("ok"),
              pax({ linkpath: `/l${i - 1}/${"d/".repeat(1900)}` }),
              symlink(`l${i}`, "x"),
            ]),
      ),
    },
  ];
}

/** Removals. */
function whiteouts(canary: string): readonly Layer[] {
  const inside = canary.slice(1);
  const parents = inside.split("/").map((_, i, all) => `d ${all.slice(0, i + 1).join("/")}`);
  return [
    { name: "whiteout of ..", tar: [file("data/.wh...", "")], refused: outside },
    { name: "whiteout of .", tar: [file("data/.wh..", "")], refused: outside },
    { name: "whiteout of nothing", tar: [file("data/.wh.", "")], refused: outside },
    { name: "whiteout outside", tar: [file("../.wh.victim", "")], refused: outside },
    {
      name: "whiteout through a link out",
      tar: [file("out/.wh.victim", "")],
      tree: [...parents, `w ${inside}/victim`],
    },
    {
      name: "opaque through a link out",
      tar: [symlink("evil", canary), file("evil/.wh..wh..opq", "")],
      tree: [`l evil ${canary}`, ...parents.slice(0, -1), `d! ${inside}`],
    },
    { name: "opaque root", tar: [file(".wh..wh..opq", ""), file("x")], tree: ["f x x"] },
    { name: "opaque of a file", tar: [file("plain/.wh..wh..opq", "")], tree: ["d! plain"] },
    {
      name: "opaque of a directory that is nowhere",
      tar: [file("nowhere/.wh..wh..opq", "")],
      tree: ["d! nowhere"],
    },
    {
      name: "whiteout of what is not there",
      tar: [file("data/.wh.nothing", "")],
      tree: ["d data", "w data/nothing"],
    },
    {
      name: "whiteout, then the name again",
      tar: [file(".wh.data", ""), directory("data"), file("data/new")],
      tree: ["d! data", "f data/new x"],
    },
    {
      name: "whiteout, then something below the name",
      tar: [file(".wh.data", ""), file("data/new")],
      tree: ["d! data", "f data/new x"],
    },
    {
      name: "whiteout of what the layer itself brings",
      tar: [file("data/mine"), file("data/.wh.mine", "")],
      tree: ["d data", "f data/mine x"],
    },
    { name: "whiteout that is a link", tar: [symlink(".wh.data", canary)], tree: ["w data"] },
    {
      name: "names of aufs",
      tar: [
        directory(".wh..wh.plnk"),
        file(".wh..wh.plnk/7.8", "shared"),
        file(".wh..wh.aufs", ""),
        directory(".wh..wh.orph"),
        hardlink("x", ".wh..wh.plnk/7.8"),
        file("data/.wh..wh.odd", ""),
      ],
      tree: ["f x shared"],
    },
    {
      name: "an overlay whiteout as a device",
      tar: [member({ name: "plain", type: "3" })],
      tree: ["w plain"],
    },
    {
      name: "hard link to an overlay whiteout",
      tar: [member({ name: "w", type: "3" }), hardlink("x", "w")],
      refused: /no such file/,
    },
  ];
}

/** Nodes, owners, modes, times, attributes. */
function metadata(): readonly Layer[] {
  const attribute = (key: string, value: string | Uint8Array) => [
    pax({ [`SCHILY.xattr.${key}`]: value }),
    file("x"),
  ];
  return [
    {
      name: "device nodes",
      tar: [
        member({ name: "null", type: "3", major: 1, minor: 3 }),
        member({ name: "disk", type: "4", major: 8 }),
      ],
      tree: ["b disk 8:0", "c null 1:3"],
    },
    {
      name: "device numbers beyond their fields",
      tar: [member({ name: "x", type: "4", major: base256(2n ** 40n, 8), minor: base256(-1n, 8) })],
      refused: /./,
    },
    {
      name: "a type that nobody knows",
      tar: [member({ name: "x", type: "Z" })],
      refused: /unhandled tar header type 90/,
    },
    { name: "a socket", tar: [member({ name: "x", type: "s" })], refused: /unhandled tar header type 115/ },
    { name: "set-id bits", tar: [file("su", "x", { mode: 0o6755 })], tree: ["f su x 6755"] },
    { name: "a mode with a type in it", tar: [file("x", "x", { mode: 0o120644 })], tree: ["f x x"] },
    {
      name: "owner of 2^31 and more",
      tar: [member({ name: "x", data: "x", uid: base256(2n ** 31n, 8) })],
      either: /./,
    },
    { name: "owner -1", tar: [member({ name: "x", uid: base256(-1n, 8) })], refused: invalid },
    {
      name: "owner 2^32-1, which means no change",
      tar: [member({ name: "x", uid: base256(2n ** 32n - 1n, 8) })],
      refused: invalid,
    },
    {
      name: "owner 2^32, which wraps to root",
      tar: [pax({ uid: "4294967296" }), file("x")],
      refused: invalid,
    },
    {
      name: "time before all times",
      tar: [member({ name: "x", data: "x", mtime: base256(-(2n ** 50n), 12) })],
      tree: ["f x x"],
    },
    {
      name: "time after all times",
      tar: [pax({ mtime: "999999999999999999.9" }), file("x")],
      tree: ["f x x"],
    },
    { name: "time that is no number", tar: [pax({ mtime: "1e9" }), file("x")], refused: invalid },
    {
      name: "time of more digits than fit",
      tar: [pax({ mtime: "9".repeat(100) }), file("x")],
      refused: invalid,
    },
    {
      name: "overlay's own attributes",
      tree: ["f x x"],
      tar: [
        pax({
          "SCHILY.xattr.trusted.overlay.redirect": "/../../etc",
          "SCHILY.xattr.trusted.overlay.opaque": "y",
          "SCHILY.xattr.trusted.overlay.metacopy": "",
          "SCHILY.xattr.user.overlay.opaque": "y",
        }),
        file("x"),
      ],
    },
    {
      name: "overlay's attribute on the root",
      tar: [pax({ "SCHILY.xattr.trusted.overlay.opaque": "y" }), directory("./"), ...after],
      tree: ordinary,
    },
    {
      name: "a capability",
      tar: attribute("security.capability", Buffer.from("0100000200040000000000000000000000000000", "hex")),
      tree: ["f x x security.capability"],
    },
    { name: "a capability that is none", tar: attribute("security.capability", "zzz"), refused: /./ },
    {
      name: "an attribute larger than the kernel takes",
      tar: attribute("user.big", "v".repeat(70_000)),
      refused: /./,
    },
    { name: "an attribute without a name", tar: attribute("", "v"), refused: /./ },
    { name: "an attribute with a long name", tar: attribute(`user.${"n".repeat(300)}`, "v"), refused: /./ },
    { name: "an attribute of no class", tar: attribute("nonsense", "v"), tree: ["f x x"] },
    { name: "an access list that is none", tar: attribute("system.posix_acl_access", "zzz"), refused: /./ },
  ];
}

/** Names that are hard to hold. */
function names(): readonly Layer[] {
  return [
    {
      name: "a component of 300 bytes",
      tar: [pax({ path: "n".repeat(300) }), file("ok")],
      refused: /too long/,
    },
    {
      name: "a name of 5000 bytes",
      tar: [pax({ path: "dir/".repeat(1250) }), file("ok")],
      refused: /too long/,
    },
    {
      name: "a name of a megabyte",
      tar: [pax({ path: "d/".repeat(500_000) }), file("ok")],
      refused: /too long/,
    },
    {
      name: "a link target of 5000 bytes",
      tar: [pax({ linkpath: long }), symlink("x", "y")],
      refused: /too long/,
    },
    {
      name: "bytes that are not UTF-8",
      tar: [file("", "x", { name: Buffer.from([0x62, 0xff, 0xfe, 0x80]) })],
    },
    {
      name: "newline, quotes and escapes in names",
      tar: [file("a\nb"), file("q\"'`$(id)"), file("\u001b[31mred"), file("back\\slash")],
      tree: ["f \u001b[31mred x", "f a\\nb x", "f back\\slash x", "f q\"'`$(id) x"],
    },
    {
      name: "names that differ in case and form only",
      tar: [file("A"), file("a"), file("e\u0301"), file("\u00e9")],
      tree: ["f A x", "f a x", "f e\u0301 x", "f \u00e9 x"],
    },
    {
      name: "a name that JavaScript objects have",
      tar: [file("__proto__/constructor"), hardlink("toString", "__proto__/constructor")],
      tree: ["d __proto__", "f __proto__/constructor x", "f toString x"],
    },
    { name: `${entries} files in a directory`, slow: true, tar: many(entries, (i) => file(`many/${i}`, "")) },
    {
      name: `${entries} directories that become files and back`,
      slow: true,
      tar: many(entries, (i) => (i % 2 === 0 ? directory(`d${i % 100}`) : file(`d${(i - 1) % 100}`, ""))),
    },
  ];
}

/** Headers and streams that lie about themselves. */
function structure(): readonly Layer[] {
  const sized = (value: string | Uint8Array) => [pax({ size: value }), file("x", "x".repeat(600))];
  const field = (value: number | Uint8Array) => [member({ name: "x", size: value, data: "x" })];
  return [
    { name: "pax size of more than there is", tar: sized("100000"), refused: short },
    { name: "pax size below zero", tar: sized("-1"), refused: invalid },
    { name: "pax size beyond all numbers", tar: sized("99999999999999999999"), refused: invalid },
    { name: "pax size that is no number", tar: sized("1e3"), refused: invalid },
    { name: "pax size with a NUL", tar: sized("60\0"), refused: invalid },
    {
      name: "pax size that hides a member",
      tar: [pax({ size: "1536" }), member({ name: "x", data: file("hidden") })],
      tree: ["f x 1536"],
    },
    { name: "pax path with a NUL", tar: [pax({ path: "a\0b" }), file("x")], refused: invalid },
    { name: "pax path that is empty", tar: [pax({ path: "" }), file("x")], tree: ["f x x"] },
    {
      name: "pax record longer than the header",
      tar: [pax(Buffer.from("99 path=x\n")), file("x")],
      refused: invalid,
    },
    { name: "pax record of length zero", tar: [pax(Buffer.from("0 path=x\n")), file("x")], refused: invalid },
    { name: "pax record without a length", tar: [pax(Buffer.from("path=x\n")), file("x")], refused: invalid },
    { name: "pax record without an end", tar: [pax(Buffer.from("8 path=x")), file("x")], refused: invalid },
    { name: "pax record without a key", tar: [pax(Buffer.from("5 =x\n")), file("x")], refused: invalid },
    {
      name: "pax header of two megabytes",
      tar: [pax({ comment: Buffer.alloc(2 << 20, 0x61) }), file("x")],
      refused: /too long/,
    },
    {
      name: "a hundred pax headers of a megabyte for one file",
      slow: true,
      tar: [...many(100, (i) => pax({ [`comment.${i}`]: Buffer.alloc(1_000_000, 0x61) })), ...after],
      tree: ordinary,
    },
    {
      name: "ten thousand pax headers for one file",
      tar: [...many(10_000, (i) => pax({ [`c.${i}`]: "v" })), ...after],
      tree: ordinary,
    },
    { name: "pax header for nobody", tar: [pax({ path: "x" })], tree: [] },
    {
      name: "pax header with a quarter million records",
      tar: [pax(Buffer.concat(many(80_000, (i) => paxRecord(`k${i % 9999}`, "")))), ...after],
      tree: ordinary,
    },
    {
      name: "global pax headers that would change all",
      tar: [pax({ path: "../all", uid: "7" }, "g"), ...after],
      tree: ordinary,
    },
    {
      name: "GNU long name of two megabytes",
      tar: [gnuLong("L", Buffer.alloc(2 << 20, 0x61)), file("x")],
      refused: /too long/,
    },
    {
      name: "GNU long name without end",
      tar: [member({ name: "././@LongLink", type: "L", magic: "ustar  \0", size: 1 << 20, data: "x" })],
      refused: /./,
    },
    {
      name: "GNU long names one after the other",
      tar: [...many(50, () => gnuLong("L", "other")), gnuLong("K", "k"), gnuLong("L", "x"), file("ok")],
      tree: ["f x x"],
    },
    {
      name: "GNU long name for a pax header",
      tar: [gnuLong("L", "../out"), pax({ path: "x" }), file("ok")],
      tree: ["f x x"],
    },
    { name: "sizes below zero in base 256", tar: field(base256(-1n, 12)), refused: invalid },
    { name: "sizes beyond all numbers in base 256", tar: field(base256(2n ** 70n, 12)), refused: invalid },
    { name: "sizes beyond the disk in base 256", tar: field(base256(2n ** 52n, 12)), refused: short },
    { name: "size that is not octal", tar: field(Buffer.from("00000000999\0")), refused: invalid },
    { name: "size without digits", tar: field(Buffer.from("            ")), refused: /./ },
    { name: "size of a directory", tar: [directory("etc", { size: 512 }), file("etc/x")], tree: ordinary },
    {
      name: "size of a link",
      tar: [member({ name: "l", type: "2", link: "etc", size: 1 << 20 }), ...after],
      tree: ["d etc", "f etc/x x", "l l etc"],
    },
    { name: "a checksum that is wrong", tar: [file("x", "x", { checksum: 1 })], refused: invalid },
    { name: "half a header", tar: [...after, file("x").subarray(0, 200)], open: true, refused: short },
    { name: "half a file", tar: [file("x", "x".repeat(5000)).subarray(0, 3000)], open: true, refused: short },
    { name: "no blocks at the end", tar: after, open: true, tree: ordinary },
    {
      name: "one block of zeros, then a member",
      tar: [...after, Buffer.alloc(512), file("x")],
      refused: invalid,
    },
    {
      name: "garbage after the end",
      tar: [...after, tarEnd, Buffer.alloc(3000, 0xa5), file("../../late")],
      tree: ordinary,
    },
    {
      name: "64 MB of zeros after the end",
      slow: true,
      tar: [...after, Buffer.alloc(64 << 20)],
      tree: ordinary,
    },
    {
      name: "no tar at all",
      tar: [Buffer.from("<html>404</html>".repeat(100))],
      open: true,
      refused: invalid,
    },
    {
      name: "a program for a layer",
      tar: [Buffer.concat([Buffer.from("\x7fELF"), Buffer.alloc(5000, 1)])],
      open: true,
      refused: invalid,
    },
    {
      name: "a gzip stream inside",
      tar: [gzipSync(Buffer.concat(after))],
      open: true,
      packed: (tar) => gzipSync(tar),
      refused: /./,
    },
  ];
}

/** Holes, and what shrinks a thousandfold. */
function bombs(): readonly Layer[] {
  const map = (version: "0" | "1", more: Readonly<Record<string, string>>, data: string | Uint8Array) => [
    pax({ "GNU.sparse.major": version, "GNU.sparse.minor": "0", ...more }),
    member({ name: "x", data }),
  ];
  const one = (text: string | Uint8Array, size = "1") =>
    map("1", { "GNU.sparse.realsize": size, "GNU.sparse.name": "x" }, text);
  const block = (text: string) =>
    Buffer.concat([Buffer.from(text), Buffer.alloc(-text.length & 511), Buffer.from("y")]);
  const extended = Buffer.alloc(512);
  extended[504] = 1;
  return [
    {
      name: "GNU sparse: a terabyte of nothing and one byte",
      tar: [gnuSparse("x", pairs([2 ** 40 - 1, 1]), 2n ** 40n, "y")],
      tree: ["f x 1099511627776 in little"],
    },
    {
      name: "hard link to a terabyte of nothing in the layer below",
      tar: [hardlink("x", "holes")],
      tree: ["f holes 1099511627776 in little", "f x 1099511627776 in little"],
    },
    {
      name: "GNU sparse: more than a file can be",
      tar: [gnuSparse("x", pairs([0, 1]), 2n ** 52n, "y")],
      refused: /./,
    },
    {
      name: "GNU sparse: pieces over each other",
      tar: [gnuSparse("x", pairs([0, 1], [0, 1]), 10n, "yy")],
      refused: invalid,
    },
    {
      name: "GNU sparse: pieces beyond the end",
      tar: [gnuSparse("x", pairs([100, 1]), 10n, "y")],
      refused: invalid,
    },
    {
      name: "GNU sparse: a piece below zero",
      tar: [gnuSparse("x", [[-5n, 1n]], 10n, "y")],
      refused: invalid,
    },
    {
      name: "GNU sparse: pieces longer than the data",
      tar: [gnuSparse("x", pairs([0, 9]), 10n, "y")],
      refused: invalid,
    },
    {
      name: "GNU sparse: maps without end",
      tar: [
        gnuSparse(
          "x",
          [],
          10n,
          "",
          many(4000, () => {
            const each = Buffer.from(extended);
            for (let i = 0; i < 21; i++) each.write("00000000000\u000000000000000\0", i * 24);
            return each;
          }),
        ),
      ],
      refused: invalid,
    },
    {
      name: "pax sparse 0.1: a map that is no map",
      tar: map("0", { "GNU.sparse.size": "9", "GNU.sparse.map": "0,1,x" }, "y"),
      refused: invalid,
    },
    {
      name: "pax sparse 0.1: hexadecimal",
      tar: map("0", { "GNU.sparse.size": "9", "GNU.sparse.map": "0x0,1e0" }, "y"),
      refused: invalid,
    },
    {
      name: "pax sparse 0.0",
      tree: ["f x y\\0\\0z"],
      tar: [
        pax(
          Buffer.concat([
            paxRecord("GNU.sparse.size", "4"),
            paxRecord("GNU.sparse.numblocks", "2"),
            paxRecord("GNU.sparse.offset", "0"),
            paxRecord("GNU.sparse.numbytes", "1"),
            paxRecord("GNU.sparse.offset", "3"),
            paxRecord("GNU.sparse.numbytes", "1"),
          ]),
        ),
        member({ name: "x", data: "yz" }),
      ],
    },
    { name: "pax sparse 1.0", tar: one(block("1\n0\n1\n")), tree: ["f x y"] },
    {
      name: "pax sparse 1.0: a count beyond the data",
      tar: one(block("999999999999999\n0\n1\n")),
      refused: /./,
    },
    { name: "pax sparse 1.0: a count that is no number", tar: one(block("-1\n0\n1\n")), refused: invalid },
    { name: "pax sparse 1.0: no data", tar: one(""), refused: invalid },
    {
      name: "pax sparse 1.0: a map of megabytes",
      tar: many(10, () => Buffer.concat(one(`400000\n${"0\n".repeat(490_000)}`))),
      refused: invalid,
    },
    {
      name: "gzip: the sum is wrong",
      tar: after,
      packed: (tar) => {
        const gz = gzipSync(tar);
        gz.writeUInt32LE(1, gz.length - 8);
        return gz;
      },
      refused: /gzip|incorrect/,
    },
    {
      name: "gzip: cut short",
      tar: [file("x", "x".repeat(20_000))],
      packed: (tar) => gzipSync(tar).subarray(0, -12),
      refused: short,
    },
    {
      name: "gzip: members one after the other",
      tar: after,
      packed: (tar) => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
      tree: ordinary,
    },
    { name: "gzip: 64 MB of one byte", slow: true, tar: [file("x", "\0".repeat(64 << 20))] },
    {
      name: "zstd: cut short",
      tar: [file("x", "x".repeat(20_000))],
      packed: (tar) => zstdCompressSync(tar).subarray(0, -5),
      refused: short,
    },
    {
      name: "zstd: a window of a terabyte",
      tar: after,
      packed: () =>
        Buffer.concat([Buffer.from("28b52ffd00f0", "hex"), Buffer.from("0b00000061000000", "hex")]),
      refused: /zstd|EOF/,
    },
    {
      name: "zstd: frames one after the other, one to skip",
      tar: after,
      packed: (tar) =>
        Buffer.concat([
          zstdCompressSync(tar.subarray(0, 700)),
          Buffer.from("502a4d1804000000aabbccdd", "hex"),
          zstdCompressSync(tar.subarray(700)),
        ]),
      tree: ordinary,
    },
    {
      name: "xz: a dictionary of four gigabytes",
      tar: after,
      refused: /xz|EOF/,
      packed: () => Buffer.from(`fd377a585a000004e6d6b4460200210128000000${"00".repeat(40)}`, "hex"),
    },
  ];
}

/** What builders really write: all of it is taken. */
function habits(): readonly Layer[] {
  return [
    {
      name: "buildah: names that begin with ./",
      tar: [directory("./"), directory("./etc/"), file("./etc/x")],
      tree: ordinary,
    },
    {
      name: "bazel: no directories of its own",
      tar: [file("./usr/lib/x")],
      tree: ["d usr", "d usr/lib", "f usr/lib/x x"],
    },
    {
      name: "old tar: a directory as a file with a slash",
      tar: [member({ name: "etc/" }), file("etc/x")],
      tree: ordinary,
    },
    {
      name: "v7 headers",
      tar: [member({ name: "x", type: "\0", magic: "\0\0\0\0\0\0\0\0", data: "x" })],
      tree: ["f x x"],
    },
    {
      name: "kaniko: absolute names and hard links below",
      tar: [directory("/etc/"), file("/etc/x"), hardlink("/y", "/data/keep")],
      tree: ["d data", "f data/keep kept", "d etc", "f etc/x x", "f y kept"],
    },
    {
      name: "git archive: a global header with the commit",
      tar: [pax({ comment: "f".repeat(40) }, "g"), ...after],
      tree: ordinary,
    },
    {
      name: "GNU and pax in one archive",
      tar: [
        gnuLong("L", `long/${"n".repeat(150)}`),
        file("cut"),
        pax({ path: `pax/${"n".repeat(150)}`, atime: "1.5", ctime: "2.5" }),
        file("cut"),
      ],
      tree: ["d long", `f long/${"n".repeat(150)} x`, "d pax", `f pax/${"n".repeat(150)} x`],
    },
    {
      name: "a file put into a directory behind a link",
      tar: [file("absolute/new"), file("upwards/newer")],
      tree: ["d data", "f data/new x", "f data/newer x"],
    },
    {
      name: "merged usr",
      tar: [directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/a"), hardlink("lib/b", "usr/lib/a")],
      tree: ["l lib usr/lib", "d usr", "d usr/lib", "f usr/lib/a x", "f usr/lib/b x"],
    },
    {
      name: "a file of more than eight gigabytes would be in base 256",
      tar: [member({ name: "x", size: base256(1n, 12), data: "x" })],
      tree: ["f x x"],
    },
    { name: "an empty layer", tar: [], tree: [] },
    { name: "nothing at all", tar: [], open: true, tree: [] },
    { name: "contiguous files", tar: [member({ name: "x", type: "7", data: "x" })], tree: ["f x x"] },
    {
      name: "names and owners in other scripts",
      tar: [pax({ path: "etc/пример", uname: "ユーザ" }), file("etc/x")],
      tree: ["d etc", "f etc/пример x"],
    },
    { name: "uncompressed", tar: after, packed: (tar) => tar, tree: ordinary },
  ];
}

/** Those that storage drivers could take differently: links, removals, nodes, attributes; not what the tar reader alone refuses. */
export function driverLayers(canary: string): readonly Layer[] {
  const linked = habits().filter(({ name }) => name.includes("link"));
  return [...links(canary), ...whiteouts(canary), ...metadata(), ...linked].filter(
    ({ slow, refused }) => !slow && refused !== invalid,
  );
}

/** All of them; `canary` is a directory of the host that must stay as it is. */
export function hostileLayers(canary: string): readonly Layer[] {
  return [
    ...traversal(canary),
    ...links(canary),
    ...whiteouts(canary),
    ...metadata(),
    ...names(),
    ...structure(),
    ...bombs(),
    ...habits(),
  ];
}
