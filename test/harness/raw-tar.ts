/**
 * Tar blocks put together by hand, so that they can say what no writer says. Without any code of Tug's: its reader is what is tested.
 */
export interface RawMember {
  readonly name: string | Uint8Array;
  /** The type character; "0", a regular file, unless told. */
  readonly type?: string;
  readonly link?: string;
  /** Follows the header, padded to a block. */
  readonly data?: string | Uint8Array;
  /** What the size field says, whatever `data` is: a number, or the field's 12 bytes. */
  readonly size?: number | Uint8Array;
  readonly mode?: number;
  readonly uid?: number | Uint8Array;
  readonly gid?: number;
  readonly mtime?: number | Uint8Array;
  readonly major?: number | Uint8Array;
  readonly minor?: number | Uint8Array;
  /** "ustar\0" and "00" unless told. */
  readonly magic?: string;
  /** Bytes put at an offset of the header before it is summed. */
  readonly patch?: readonly (readonly [number, Uint8Array | string])[];
  readonly checksum?: number;
}

export const tarEnd: Buffer = Buffer.alloc(1024);

/** A two's complement number as GNU tar writes it, top bit set. */
export function base256(value: bigint, length: number): Buffer {
  const field = Buffer.alloc(length);
  let left = value;
  for (let i = length - 1; i >= 0; i--) {
    field[i] = Number(left & 0xffn);
    left >>= 8n;
  }
  field[0] = (field[0] ?? 0) | 0x80;
  return field;
}

export function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 511)]);
}

/** One header and its data. */
export function member(from: RawMember): Buffer {
  const data = Buffer.from(from.data ?? "");
  const block = Buffer.alloc(512);
  Buffer.from(from.name).copy(block, 0, 0, 100);
  field(block, 100, 8, from.mode ?? (from.type === "5" ? 0o755 : 0o644));
  field(block, 108, 8, from.uid ?? 0);
  field(block, 116, 8, from.gid ?? 0);
  field(block, 124, 12, from.size ?? data.length);
  field(block, 136, 12, from.mtime ?? 1_600_000_000);
  block.write(from.type ?? "0", 156, "latin1");
  Buffer.from(from.link ?? "").copy(block, 157, 0, 100);
  block.write(from.magic ?? "ustar\u000000", 257, "latin1");
  field(block, 329, 8, from.major ?? 0);
  field(block, 337, 8, from.minor ?? 0);
  for (const [at, bytes] of from.patch ?? []) Buffer.from(bytes).copy(block, at);
  block.fill(0x20, 148, 156);
  const sum = from.checksum ?? block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0`, 148);
  return Buffer.concat([block, padded(data)]);
}

function field(block: Buffer, at: number, length: number, value: number | Uint8Array): void {
  if (typeof value !== "number") Buffer.from(value).copy(block, at, 0, length);
  else
    block.write(
      `${value
        .toString(8)
        .padStart(length - 1, "0")
        .slice(-length + 1)}\0`,
      at,
    );
}

/** A pax record with the length that belongs to it. */
export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

/** A pax extended header of these records, or of bytes as they are. */
export function pax(records: Readonly<Record<string, string | Uint8Array>> | Uint8Array, type = "x"): Buffer {
  const data =
    records instanceof Uint8Array
      ? records
      : Buffer.concat(
          Object.entries(records).map(([key, value]) => paxRecord(key, value as string | Uint8Array)),
        );
  return member({ name: "PaxHeaders.0/x", type, data });
}

/** GNU's long name ("L") or long link ("K"). */
export function gnuLong(type: "L" | "K", text: string | Uint8Array): Buffer {
  const data = Buffer.concat([Buffer.from(text), Buffer.of(0)]);
  return member({ name: "././@LongLink", type, magic: "ustar  \0", data });
}

/** An old GNU sparse header (type "S"): pairs of offset and length, the real size, and `data`. */
export function gnuSparse(
  name: string,
  pairs: readonly (readonly [bigint, bigint])[],
  realSize: bigint,
  data: string | Uint8Array,
  extended: readonly Uint8Array[] = [],
): Buffer {
  const patch: [number, Uint8Array][] = [[483, base256(realSize, 12)]];
  pairs.slice(0, 4).forEach(([offset, length], index) => {
    patch.push([386 + index * 24, base256(offset, 12)], [398 + index * 24, base256(length, 12)]);
  });
  patch.push([482, Buffer.of(extended.length > 0 ? 1 : 0)]);
  const bytes = Buffer.from(data);
  const header = member({ name, type: "S", magic: "ustar  \0", size: bytes.length, patch });
  return Buffer.concat([header, ...extended, padded(bytes)]);
}

export const file = (name: string, data = "x", more: Partial<RawMember> = {}): Buffer =>
  member({ name, data, ...more });
export const directory = (name: string, more: Partial<RawMember> = {}): Buffer =>
  member({ name, type: "5", ...more });
export const symlink = (name: string, link: string): Buffer => member({ name, type: "2", link });
export const hardlink = (name: string, link: string): Buffer => member({ name, type: "1", link });
