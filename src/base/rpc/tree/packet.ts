import { Packet, Packet_PacketType as Type } from "../../spec/buildkit/fsutil.gen.ts";
import type { FrameWriter } from "../framing.ts";
import type { Codec, Method } from "../method.ts";
import { fromGoMode, fromStat, type TreeEntry, toGoMode, toStat } from "./entry.ts";

export const PacketType = Type;

/** A message of a transfer, with its entry as the rest of the program has it. */
export interface TreePacket {
  readonly type: Type;
  /** Of a STAT; undefined: there are no more entries. */
  readonly entry: TreeEntry | undefined;
  /** Of a file: its place in the sequence of STATs, from 0. */
  readonly id: number;
  readonly data: Uint8Array;
}

const nothing = new Uint8Array(0);
const noAttributes: TreeEntry["xattrs"] = Object.freeze({});

export function packet(fields: Partial<TreePacket>): TreePacket {
  return { type: Type.STAT, entry: undefined, id: 0, data: nothing, ...fields };
}

/**
 * fsutil's Packet on the wire, as its generated codec has it. A context has one for each of its files, so the shapes that almost all have are written
 * and read here without objects in between, which takes a tenth of the time; everything else is the generated codec's.
 */
export const treePackets: Codec<TreePacket> = {
  encode: ({ type, entry, id, data }) =>
    Packet.encode({ type, stat: entry && toStat(entry), id, data: data as Uint8Array<ArrayBuffer> }),
  decode: (bytes) => readPacket(bytes) ?? decodeWhole(bytes),
  writeTo: writePacket,
};

/** Packets as they came: who is told the same as the last time need not read them. */
const unread: Codec<Uint8Array> = {
  encode: (bytes) => ({ finish: () => bytes }),
  decode: (bytes) => bytes,
};

type Path = { readonly path: string };

/** A transfer's method for who sends the tree, calling or called. */
export const sendingMethod = ({ path }: Path): Method<TreePacket, TreePacket> => ({
  path,
  input: treePackets,
  output: treePackets,
});

/** For who receives the tree and is called. */
export const receivingMethod = ({ path }: Path): Method<Uint8Array, TreePacket> => ({
  path,
  input: unread,
  output: treePackets,
});

/** For who calls and receives. */
export const receivingCall = ({ path }: Path): Method<TreePacket, Uint8Array> => ({
  path,
  input: treePackets,
  output: unread,
});

function decodeWhole(bytes: Uint8Array): TreePacket {
  const { type, stat, id, data } = Packet.decode(bytes);
  return { type, entry: stat && fromStat(stat), id, data };
}

/** Field numbers with wire types (fsutil's wire.proto and stat.proto). */
const tag = { type: 0x08, stat: 0x12, id: 0x18, data: 0x22 } as const;
const statTag = {
  path: 0x0a,
  mode: 0x10,
  uid: 0x18,
  gid: 0x20,
  size: 0x28,
  modTime: 0x30,
  linkname: 0x3a,
} as const;

/** False, and nothing written: the generated codec has to do it. */
function writePacket({ type, entry, id, data }: TreePacket, into: FrameWriter): boolean {
  if (entry) return type === Type.STAT && id === 0 && data.length === 0 && writeEntry(entry, into);
  const length =
    (type === 0 ? 0 : 2) +
    (id === 0 ? 0 : 1 + varintBytes(id)) +
    (data.length === 0 ? 0 : 1 + varintBytes(data.length) + data.length);
  let at = into.begin(length);
  const { buffer } = into;
  if (type !== 0) at = writeVarint(buffer, at, tag.type, type);
  if (id !== 0) at = writeVarint(buffer, at, tag.id, id);
  if (data.length > 0) {
    at = writeVarint(buffer, at, tag.data, data.length);
    buffer.set(data, at);
  }
  return true;
}

function writeEntry(entry: TreeEntry, into: FrameWriter): boolean {
  const { path, uid, gid, size, linkname, mtime } = entry;
  if (entry.devmajor !== 0 || entry.devminor !== 0 || mtime < 0n || path === "") return false;
  for (const _ in entry.xattrs) return false;
  const mode = toGoMode(entry.mode);
  const seconds = Number(mtime >> 28n);
  const rest = Number(mtime & 0xfff_ffffn);
  const pathBytes = Buffer.byteLength(path);
  const linkBytes = linkname === "" ? 0 : Buffer.byteLength(linkname);
  const length =
    1 +
    varintBytes(pathBytes) +
    pathBytes +
    fieldBytes(mode) +
    fieldBytes(uid) +
    fieldBytes(gid) +
    fieldBytes(size) +
    (seconds === 0 ? fieldBytes(rest) : 5 + varintBytes(seconds)) +
    (linkBytes === 0 ? 0 : 1 + varintBytes(linkBytes) + linkBytes);
  let at = into.begin(1 + varintBytes(length) + length);
  const { buffer } = into;
  at = writeVarint(buffer, at, tag.stat, length);
  at = writeVarint(buffer, at, statTag.path, pathBytes);
  at += buffer.write(path, at, "utf8");
  if (mode !== 0) at = writeVarint(buffer, at, statTag.mode, mode);
  if (uid !== 0) at = writeVarint(buffer, at, statTag.uid, uid);
  if (gid !== 0) at = writeVarint(buffer, at, statTag.gid, gid);
  if (size !== 0) at = writeVarint(buffer, at, statTag.size, size);
  if (seconds !== 0) {
    // Digits of 7 bits, four of them at once.
    buffer[at] = statTag.modTime;
    const four =
      (rest & 0x7f) | ((rest & 0x3f80) << 1) | ((rest & 0x1f_c000) << 2) | ((rest & 0xfe0_0000) << 3);
    buffer.writeInt32LE(four | 0x8080_8080, at + 1);
    at = writeDigits(buffer, at + 5, seconds);
  } else if (rest !== 0) at = writeVarint(buffer, at, statTag.modTime, rest);
  if (linkBytes > 0) {
    at = writeVarint(buffer, at, statTag.linkname, linkBytes);
    buffer.write(linkname, at, "utf8");
  }
  return true;
}

/** Bytes of a field that is left out when it is 0. */
const fieldBytes = (value: number) => (value === 0 ? 0 : 1 + varintBytes(value));

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let bytes = 5;
  for (let rest = Math.floor(value / 0x1000_0000); rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

function writeVarint(buffer: Buffer, at: number, field: number, value: number): number {
  buffer[at] = field;
  return writeDigits(buffer, at + 1, value);
}

/** `value` is at most 2^53. */
function writeDigits(buffer: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 0x80)) buffer[at++] = (rest % 0x80) | 0x80;
  for (; rest >= 0x80; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80;
  buffer[at++] = rest;
  return at;
}

/** Where a message is read; `ok` turns false where it has what is not read here. */
interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
  ok: boolean;
}

/** undefined: not of the usual shape (or no message at all): the generated codec decides. */
function readPacket(bytes: Uint8Array): TreePacket | undefined {
  const cursor: Cursor = { bytes, at: 0, ok: true };
  let type = 0;
  let id = 0;
  let entry: TreeEntry | undefined;
  let data: Uint8Array = nothing;
  while (cursor.at < bytes.length && cursor.ok) {
    const field = bytes[cursor.at++];
    const value = readVarint(cursor);
    if (field === tag.type) type = value;
    else if (field === tag.id) id = value;
    else if (field === tag.stat && !entry) {
      const end = cursor.at + value;
      entry = readEntry(cursor, end);
      cursor.ok &&= cursor.at === end;
    } else if (field === tag.data) data = readBytes(cursor, value);
    else cursor.ok = false;
  }
  if (!cursor.ok || type > Type.ERR || id > 0xffff_ffff) return undefined;
  return { type: type as Type, entry, id, data };
}

function readEntry(cursor: Cursor, end: number): TreeEntry | undefined {
  const { bytes } = cursor;
  if (end > bytes.length) {
    cursor.ok = false;
    return undefined;
  }
  let [path, linkname] = ["", ""];
  let [mode, uid, gid, size] = [0, 0, 0, 0];
  let mtime = 0n;
  while (cursor.at < end && cursor.ok) {
    const field = bytes[cursor.at++];
    if (field === statTag.modTime) {
      mtime = readInt64(cursor);
      continue;
    }
    const value = readVarint(cursor);
    if (field === statTag.path) path = readText(cursor, value);
    else if (field === statTag.mode) mode = value;
    else if (field === statTag.uid) uid = value;
    else if (field === statTag.gid) gid = value;
    else if (field === statTag.size) size = value;
    else if (field === statTag.linkname) linkname = readText(cursor, value);
    else cursor.ok = false;
  }
  cursor.ok &&= mode <= 0xffff_ffff && uid <= 0xffff_ffff && gid <= 0xffff_ffff;
  const device = { devmajor: 0, devminor: 0, xattrs: noAttributes };
  return { path, mode: fromGoMode(mode), uid, gid, size, mtime, linkname, ...device };
}

/** Up to 2^49: more is not of the usual shape. */
function readVarint(cursor: Cursor): number {
  const { bytes } = cursor;
  let value = 0;
  let scale = 1;
  for (let digits = 0; digits < 7; digits++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) break;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
  cursor.ok = false;
  return 0;
}

/** Of a positive 64-bit number: digits of 28 bits, and what is left. */
function readInt64(cursor: Cursor): bigint {
  const { bytes } = cursor;
  let low = 0;
  let high = 0;
  for (let digits = 0; digits < 9; digits++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) break;
    const digit = byte & 0x7f;
    if (digits < 4) low |= digit << (digits * 7);
    else high += digit * 2 ** ((digits - 4) * 7);
    if (byte < 0x80) return high === 0 ? BigInt(low) : (BigInt(high) << 28n) | BigInt(low);
  }
  cursor.ok = false;
  return 0n;
}

function readBytes(cursor: Cursor, length: number): Uint8Array {
  const { bytes, at } = cursor;
  cursor.at += length;
  if (cursor.at > bytes.length) cursor.ok = false;
  return bytes.subarray(at, cursor.at);
}

/** Text of ASCII alone; a path that is not is left to the generated codec, which checks it. */
function readText(cursor: Cursor, length: number): string {
  const { bytes, at } = cursor;
  const end = at + length;
  cursor.at = end;
  if (end > bytes.length) {
    cursor.ok = false;
    return "";
  }
  for (let i = at; i < end; i++) if ((bytes[i] ?? 0) >= 0x80) cursor.ok = false;
  return cursor.ok ? asBuffer(bytes).toString("latin1", at, end) : "";
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
