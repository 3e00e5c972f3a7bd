import { decodePath } from "../path-bytes.ts";
import { BLOCK, invalidHeader, type SparseExtent, type TarEntry, TarError, type TarKind } from "./entry.ts";
import { parsePaxTime } from "./pax.ts";

/** One 512-byte header block as it stands, before extensions are applied. */
export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly typeflag: string;
  readonly linkName: string;
  readonly userName: string;
  readonly groupName: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly gnu: boolean;
}

/** What extension headers before an entry said of it. */
export interface Extensions {
  readonly pax: ReadonlyMap<string, Buffer>;
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
}

/** True for the block of zeros that ends an archive. */
export function isZeroBlock(block: Buffer): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

export function parseHeader(b: Buffer): RawHeader {
  verifyChecksum(b);
  const magic = b.toString("latin1", 257, 265);
  const ustar = magic.startsWith("ustar\0");
  const gnu = magic === "ustar  \0";
  let name = text(b, 0, 100);
  // In ustar the prefix takes 155 bytes; star and GNU keep times in its tail or instead of it.
  if (ustar) {
    const star = b[508] === 0x74 && b.toString("latin1", 508, 512) === "tar\0";
    const prefix = text(b, 345, star ? 131 : 155);
    if (prefix !== "") name = `${prefix}/${name}`;
  }
  const device = ustar || gnu;
  return {
    name,
    mode: Math.trunc(number(b, 100, 8)),
    uid: number(b, 108, 8),
    gid: number(b, 116, 8),
    size: number(b, 124, 12),
    mtime: number(b, 136, 12),
    typeflag: String.fromCharCode(b[156] ?? 0),
    linkName: text(b, 157, 100),
    userName: device ? text(b, 265, 32) : "",
    groupName: device ? text(b, 297, 32) : "",
    deviceMajor: device ? number(b, 329, 8) : 0,
    deviceMinor: device ? number(b, 337, 8) : 0,
    gnu,
  };
}

/** The sum of all bytes, its own field taken as spaces; some old writers summed signed bytes. */
function verifyChecksum(b: Buffer): void {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let i = 0; i < BLOCK; i++) {
    if (i === 148) i = 156;
    const byte = b[i] ?? 0;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const expected = number(b, 148, 8);
  if (expected !== unsigned && expected !== signed) throw invalidHeader();
}

function text(b: Buffer, at: number, length: number): string {
  if (b[at] === 0) return "";
  const zero = b.indexOf(0, at);
  return decodePath(b.subarray(at, zero >= 0 && zero < at + length ? zero : at + length));
}

/** Octal text, or a two's complement number in base 256 when the top bit is set (GNU tar manual, "Extensions"). */
function number(b: Buffer, at: number, length: number): number {
  const first = b[at] ?? 0;
  if ((first & 0x80) === 0) {
    const end = at + length;
    let i = at;
    while (i < end && isBlank(b[i])) i++;
    let value = 0;
    for (; i < end && !isBlank(b[i]); i++) {
      const digit = (b[i] ?? 0) - 0x30;
      if (digit < 0 || digit > 7) throw invalidHeader();
      value = value * 8 + digit;
    }
    return value;
  }
  let value = (first & 0x40) === 0 ? BigInt(first & 0x7f) : BigInt(first & 0x7f) - 0x80n;
  for (let i = 1; i < length; i++) value = value * 256n + BigInt(b[at + i] ?? 0);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw invalidHeader();
  return result;
}

/** Spaces and NULs stand before and after a number. */
function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

/** Old GNU sparse map: `count` pairs of 12-byte numbers, an empty pair ending it early. */
export function sparseMap(b: Buffer, at: number, count: number): SparseExtent[] {
  const extents: SparseExtent[] = [];
  for (let i = 0; i < count; i++, at += 24) {
    if (b[at] === 0) break;
    extents.push({ offset: number(b, at, 12), length: number(b, at + 12, 12) });
  }
  return extents;
}

/** Real size of an old GNU sparse file. */
export function sparseRealSize(b: Buffer): number {
  return number(b, 483, 12);
}

const kinds: Readonly<Record<string, TarKind>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  S: "file",
  "1": "link",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/** Bytes of data that follow the header of this type: only files carry any (Go's archive/tar: isHeaderOnly). */
export function storedSize(raw: RawHeader, pax: ReadonlyMap<string, Buffer>): number {
  const size = paxNumber(pax, "size") ?? raw.size;
  if (!Number.isSafeInteger(size) || size < 0) throw invalidHeader();
  return /[1-6]/.test(raw.typeflag) ? 0 : size;
}

/** Puts header and extensions together. `sparse` and `size` come from the parser, which had to read on for them. */
export function makeEntry(
  raw: RawHeader,
  ext: Extensions,
  size: number,
  sparse: readonly SparseExtent[] | undefined,
): TarEntry {
  const { pax } = ext;
  const string = (key: string) => {
    const value = pax.get(key);
    return value && value.length > 0 ? decodePath(value) : undefined;
  };
  const path = string("GNU.sparse.name") ?? string("path") ?? ext.longName ?? raw.name;
  let kind = kinds[raw.typeflag] ?? "unknown";
  // Before POSIX a directory was a file whose name ends in "/".
  if (kind === "file" && path.endsWith("/")) kind = "directory";
  const atime = pax.get("atime")?.toString("latin1");
  const mtime = pax.get("mtime")?.toString("latin1");
  const id = (key: "uid" | "gid") => {
    const value = paxNumber(pax, key) ?? raw[key];
    if (value < 0 || value > 0xfffffffe) throw invalidHeader();
    return value;
  };
  return {
    path,
    kind,
    typeflag: raw.typeflag,
    size: kind === "file" || kind === "unknown" ? size : 0,
    mode: raw.mode & 0o7777,
    uid: id("uid"),
    gid: id("gid"),
    userName: string("uname") ?? raw.userName,
    groupName: string("gname") ?? raw.groupName,
    mtime: mtime ? parsePaxTime(mtime) : BigInt(raw.mtime) * 1_000_000_000n,
    atime: atime ? parsePaxTime(atime) : undefined,
    linkPath: string("linkpath") ?? ext.longLink ?? raw.linkName,
    deviceMajor: raw.deviceMajor,
    deviceMinor: raw.deviceMinor,
    xattrs: xattrsOf(pax),
    sparse,
  };
}

export function paxNumber(pax: ReadonlyMap<string, Buffer>, key: string): number | undefined {
  const value = pax.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const digits = value.toString("latin1");
  const result = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(result)) throw invalidHeader();
  return result;
}

const none: ReadonlyMap<string, Uint8Array> = new Map();
const prefix = "SCHILY.xattr.";

function xattrsOf(pax: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Uint8Array> {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of pax) {
    if (!key.startsWith(prefix)) continue;
    found ??= new Map();
    found.set(key.slice(prefix.length), value);
  }
  return found ?? none;
}

/** Checks a sparse map against the sizes: ordered, inside the file, and exactly as long as the data stored. */
export function checkSparse(extents: readonly SparseExtent[], size: number, stored: number): void {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    const safe = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!safe || offset < end || offset + length > size) throw invalidHeader();
    end = offset + length;
    sum += length;
  }
  if (sum !== stored) throw new TarError("archive/tar: invalid tar header");
}
