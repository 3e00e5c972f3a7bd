import { encodePath } from "../path-bytes.ts";
import { BLOCK, paddingOf, type TarEntry, type TarKind } from "./entry.ts";
import { formatPaxTime, paxRecord } from "./pax.ts";

/** What a new member is made from; everything but path and kind has a default. */
export type NewTarEntry = Pick<TarEntry, "path" | "kind"> & Partial<Omit<TarEntry, "typeflag" | "sparse">>;

const typeflags: Readonly<Record<Exclude<TarKind, "unknown">, string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** The two blocks of zeros that end an archive. */
export const tarTrailer: Uint8Array = new Uint8Array(2 * BLOCK);

/** Zeros that fill the last block after `size` bytes of data. */
export function tarPadding(size: number): Uint8Array {
  return tarTrailer.subarray(0, paddingOf(size));
}

/**
 * The header block of a member, with a pax header before it for what does not fit into ustar: long names and links, large
 * sizes and ids, fractions of a second, names that are not ASCII, extended attributes. The data, `size` bytes, and its
 * padding follow.
 */
export function tarHeader(entry: NewTarEntry): Buffer {
  const records: Buffer[] = [];
  const path = entry.kind === "directory" && !entry.path.endsWith("/") ? `${entry.path}/` : entry.path;
  const name = encodePath(path);
  const split = splitName(name);
  if (!split) records.push(paxRecord("path", path));
  const link = field(entry.linkPath, "linkpath", 100, records);
  const size = entry.kind === "file" ? (entry.size ?? 0) : 0;
  if (size > 0o77777777777) records.push(paxRecord("size", String(size)));
  const { uid = 0, gid = 0 } = entry;
  if (uid > 0o7777777) records.push(paxRecord("uid", String(uid)));
  if (gid > 0o7777777) records.push(paxRecord("gid", String(gid)));
  const userName = field(entry.userName, "uname", 31, records);
  const groupName = field(entry.groupName, "gname", 31, records);
  const mtime = entry.mtime ?? 0n;
  const seconds = floorSeconds(mtime);
  const plainTime = BigInt(seconds) * 1_000_000_000n === mtime && seconds >= 0 && seconds <= 0o77777777777;
  if (!plainTime) records.push(paxRecord("mtime", formatPaxTime(mtime)));
  if (entry.atime !== undefined) records.push(paxRecord("atime", formatPaxTime(entry.atime)));
  if (entry.xattrs && entry.xattrs.size > 0) {
    const xattrs = [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [key, value] of xattrs) records.push(paxRecord(`SCHILY.xattr.${key}`, value));
  }

  const block = Buffer.alloc(BLOCK);
  (split?.name ?? name.subarray(0, 100)).copy(block, 0);
  octal(block, 100, 8, (entry.mode ?? (entry.kind === "directory" ? 0o755 : 0o644)) & 0o7777);
  octal(block, 108, 8, clamp(uid, 0o7777777));
  octal(block, 116, 8, clamp(gid, 0o7777777));
  octal(block, 124, 12, clamp(size, 0o77777777777));
  octal(block, 136, 12, clamp(seconds, 0o77777777777));
  block[156] = (entry.kind === "unknown" ? "0" : typeflags[entry.kind]).charCodeAt(0);
  link?.copy(block, 157, 0, 100);
  block.set(magic, 257);
  userName?.copy(block, 265, 0, 31);
  groupName?.copy(block, 297, 0, 31);
  if (entry.kind === "char" || entry.kind === "block") {
    device(block, entry.deviceMajor ?? 0, entry.deviceMinor ?? 0);
  }
  split?.prefix?.copy(block, 345);
  checksum(block);
  return records.length === 0 ? block : Buffer.concat([paxHeader(records), block]);
}

/** "ustar", NUL, and version "00". */
const magic = Buffer.from("ustar\x0000", "latin1");

/** The bytes of a text with a field of its own in the header; what does not fit there is told by a record as well. */
function field(text: string | undefined, key: string, limit: number, records: Buffer[]): Buffer | undefined {
  if (text === undefined || text === "") return undefined;
  const bytes = encodePath(text);
  if (bytes.length > limit || !isAscii(bytes)) records.push(paxRecord(key, text));
  return bytes;
}

/** Device numbers past 7 octal digits have no pax record: base 256 then, as GNU tar writes and everybody reads. */
function device(block: Buffer, major: number, minor: number): void {
  for (const [at, value] of [
    [329, major],
    [337, minor],
  ] as const) {
    if (value <= 0o7777777) octal(block, at, 8, value);
    else {
      block[at] = 0x80;
      block.writeUInt32BE(value >>> 0, at + 4);
    }
  }
}

function paxHeader(records: readonly Buffer[]): Buffer {
  const body = Buffer.concat(records);
  const block = Buffer.alloc(BLOCK);
  block.write("PaxHeaders.0/x", 0);
  octal(block, 100, 8, 0o644);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, body.length);
  octal(block, 136, 12, 0);
  block.write("x", 156);
  block.set(magic, 257);
  checksum(block);
  return Buffer.concat([block, body, tarPadding(body.length)]);
}

/** ustar keeps 100 bytes of name and 155 of a prefix that ends at a slash. Undefined when the name needs pax. */
function splitName(name: Buffer): { readonly name: Buffer; readonly prefix?: Buffer } | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= 100) return { name };
  if (name.length > 256) return undefined;
  // The earliest slash that leaves at most 100 bytes; a trailing slash belongs to the name.
  const slash = name.indexOf(0x2f, name.length - 101);
  if (slash <= 0 || slash > 155 || slash >= name.length - 1) return undefined;
  return { name: name.subarray(slash + 1), prefix: name.subarray(0, slash) };
}

function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] ?? 0) >= 0x80) return false;
  return true;
}

/** Fills a field with octal digits but its last byte, which stays NUL. */
function octal(block: Buffer, at: number, length: number, value: number): void {
  let left = value;
  for (let i = at + length - 2; i >= at; i--) {
    block[i] = 0x30 + (left % 8);
    left = Math.floor(left / 8);
  }
}

function checksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += block[i] ?? 0;
  // Six digits, a NUL, and the space that is there already.
  octal(block, 148, 7, sum);
  block[154] = 0;
}

/** What does not fit is told by a pax record, and 0 here. */
function clamp(value: number, most: number): number {
  return value < 0 || value > most ? 0 : value;
}

function floorSeconds(nanos: bigint): number {
  const whole = nanos / 1_000_000_000n;
  return Number(nanos < 0n && nanos % 1_000_000_000n !== 0n ? whole - 1n : whole);
}
