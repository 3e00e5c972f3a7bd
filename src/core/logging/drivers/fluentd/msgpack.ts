/** The part of MessagePack that fluentd's forward protocol needs (msgpack specification, "Formats"). */
export type Packable = string | number | boolean | Buffer | EventTime | readonly Packable[] | PackableMap;
export type PackableMap = { readonly [key: string]: Packable };

/** Seconds and nanoseconds as fluentd's extension type 0 (forward protocol v1, "EventTime"). */
export class EventTime {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

export function pack(value: Packable): Buffer {
  if (typeof value === "string") return text(Buffer.from(value));
  if (Buffer.isBuffer(value)) return text(value);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") return integer(value);
  if (value instanceof EventTime) {
    const bytes = Buffer.alloc(10);
    bytes.writeUInt16BE(0xd700, 0);
    bytes.writeUInt32BE(Number((value.nanos / 1_000_000_000n) & 0xffffffffn), 2);
    bytes.writeUInt32BE(Number(value.nanos % 1_000_000_000n), 6);
    return bytes;
  }
  if (Array.isArray(value)) {
    const items = value as readonly Packable[];
    return Buffer.concat([head(0x90, 15, 0xdc, items.length), ...items.map(pack)]);
  }
  const entries = Object.entries(value as PackableMap);
  return Buffer.concat([
    head(0x80, 15, 0xde, entries.length),
    ...entries.flatMap(([key, one]) => [pack(key), pack(one)]),
  ]);
}

/** Array and map heads: the count in the tag, in 16 or in 32 bits. */
function head(fixed: number, max: number, tag16: number, count: number): Buffer {
  if (count <= max) return Buffer.of(fixed | count);
  if (count <= 0xffff) return Buffer.of(tag16, count >> 8, count & 255);
  const bytes = Buffer.alloc(5);
  bytes[0] = tag16 + 1;
  bytes.writeUInt32BE(count, 1);
  return bytes;
}

function text(bytes: Buffer): Buffer {
  const { length } = bytes;
  if (length <= 31) return Buffer.concat([Buffer.of(0xa0 | length), bytes]);
  if (length <= 0xff) return Buffer.concat([Buffer.of(0xd9, length), bytes]);
  if (length <= 0xffff) return Buffer.concat([Buffer.of(0xda, length >> 8, length & 255), bytes]);
  const lead = Buffer.alloc(5);
  lead[0] = 0xdb;
  lead.writeUInt32BE(length, 1);
  return Buffer.concat([lead, bytes]);
}

function integer(value: number): Buffer {
  if (value >= 0 && value <= 127) return Buffer.of(value);
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xd3;
  bytes.writeBigInt64BE(BigInt(Math.trunc(value)), 1);
  return bytes;
}
