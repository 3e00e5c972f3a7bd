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
  const link = encodePath(entry.linkPath ?? "");
  if (!fits(link, 100)) records.push(paxRecord("linkpath", entry.linkPath ?? ""));
  const size = entry.kind === "file" ? (entry.size ?? 0) : 0;
  if (size > 0o77777777777) records.push(paxRecord("size", String(size)));
  for (const [key, id] of [
    ["uid", entry.uid ?? 0],
    ["gid", entry.gid ?? 0],
  ] as const) {
    if (id > 0o7777777) records.push(paxRecord(key, String(id)));
  }
  for (const [key, text] of [
    ["uname", entry.userName ?? ""],
    ["gname", entry.groupName ?? ""],
  ] as const) {
    if (!fits(encodePath(text), 31)) records.push(paxRecord(key, text));
  }
  const mtime = entry.mtime ?? 0n;
  const seconds = floorSeconds(mtime);
  const plainTime = mtime % 1_000_000_000n === 0n && seconds >= 0 && seconds <= 0o77777777777;
  if (!plainTime) records.push(paxRecord("mtime", formatPaxTime(mtime)));
  if (entry.atime !== undefined) records.push(paxRecord("atime", formatPaxTime(entry.atime)));
  const xattrs = [...(entry.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of xattrs) records.push(paxRecord(`SCHILY.xattr.${key}`, value));

  const block = Buffer.alloc(BLOCK);
  (split?.name ?? name.subarray(0, 100)).copy(block, 0);
  octal(block, 100, 8, (entry.mode ?? (entry.kind === "directory" ? 0o755 : 0o644)) & 0o7777);
  octal(block, 108, 8, clamp(entry.uid ?? 0, 0o7777777));
  octal(block, 116, 8, clamp(entry.gid ?? 0, 0o7777777));
  octal(block, 124, 12, clamp(size, 0o77777777777));
  octal(block, 136, 12, clamp(seconds, 0o77777777777));
  block.write(entry.kind === "unknown" ? "0" : typeflags[entry.kind], 156);
  link.subarray(0, 100).copy(block, 157);
  block.write("ustar\x0000", 257, "latin1");
  encodePath(entry.userName ?? "")
    .subarray(0, 31)
    .copy(block, 265);
  encodePath(entry.groupName ?? "")
    .subarray(0, 31)
    .copy(block, 297);
  if (entry.kind === "char" || entry.kind === "block") {
    device(block, entry.deviceMajor ?? 0, entry.deviceMinor ?? 0);
  }
  split?.prefix.copy(block, 345);
  checksum(block);
  return records.length === 0 ? block : Buffer.concat([paxHeader(records), block]);
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
  block.write("ustar\x0000", 257, "latin1");
  checksum(block);
  return Buffer.concat([block, body, tarPadding(body.length)]);
}

/** ustar keeps 100 bytes of name and 155 of a prefix that ends at a slash. Undefined when the name needs pax. */
function splitName(name: Buffer): { readonly name: Buffer; readonly prefix: Buffer } | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= 100) return { name, prefix: Buffer.alloc(0) };
  if (name.length > 256) return undefined;
  // The earliest slash that leaves at most 100 bytes; a trailing slash belongs to the name.
  const slash = name.indexOf(0x2f, name.length - 101);
  if (slash <= 0 || slash > 155 || slash >= name.length - 1) return undefined;
  return { name: name.subarray(slash + 1), prefix: name.subarray(0, slash) };
}

function fits(text: Buffer, limit: number): boolean {
  return text.length <= limit && isAscii(text);
}

function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] ?? 0) >= 0x80) return false;
  return true;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
}

function checksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += block[i] ?? 0;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** What does not fit is told by a pax record, and 0 here. */
function clamp(value: number, most: number): number {
  return value < 0 || value > most ? 0 : value;
}

function floorSeconds(nanos: bigint): number {
  const whole = nanos / 1_000_000_000n;
  return Number(nanos < 0n && nanos % 1_000_000_000n !== 0n ? whole - 1n : whole);
}
