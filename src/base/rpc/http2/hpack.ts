import { HuffmanDecoder } from "./huffman.ts";

/** Names and values in turns, names in lower case. */
export type Fields = readonly string[];

/** RFC 7541, appendix A: names and values from index 1. */
const staticTable: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  ...["200", "204", "206", "304", "400", "404", "500"].map((code) => [":status", code] as const),
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ...[
    ...["accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow"],
    ...["authorization", "cache-control", "content-disposition", "content-encoding", "content-language"],
    ...["content-length", "content-location", "content-range", "content-type", "cookie", "date", "etag"],
    ...["expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range"],
    ...["if-unmodified-since", "last-modified", "link", "location", "max-forwards", "proxy-authenticate"],
    ...["proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie"],
    ...["strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate"],
  ].map((name) => [name, ""] as const),
];

/** Size of the table that peers may fill: HTTP/2's default (RFC 9113, 6.5.2). */
const tableBytes = 4096;
/** What an entry counts besides its text (4.1). */
const entryOverhead = 32;

/** A header block that cannot be read: the connection is lost with it, as the table is no more the same on both sides. */
export class HpackError extends Error {
  override readonly name = "HpackError";
}

/** Reads header blocks, in the order in which they come. */
export class HpackDecoder {
  readonly #huffman = new HuffmanDecoder();
  readonly #limit: number;
  /** Newest first. */
  readonly #table: (readonly [name: string, value: string])[] = [];
  #size = 0;
  #maxSize = tableBytes;
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** `limit`: bytes of one list, counted as the protocol counts them. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Throws HpackError. undefined: it was read, and is too long. */
  decode(block: Uint8Array): Fields | undefined {
    this.#block = block;
    this.#at = 0;
    const fields: string[] = [];
    let bytes = 0;
    let first = true;
    while (this.#at < block.length) {
      const byte = block[this.#at] ?? 0;
      if ((byte & 0xe0) === 0x20) {
        if (!first) throw new HpackError("a table size within a header block");
        this.#resize(this.#integer(5));
        continue;
      }
      first = false;
      const [name, value] = this.#field(byte);
      bytes += name.length + value.length + entryOverhead;
      if (bytes <= this.#limit) fields.push(name, value);
    }
    return bytes <= this.#limit ? fields : undefined;
  }

  #field(byte: number): readonly [string, string] {
    if (byte & 0x80) return this.#entry(this.#integer(7));
    const indexed = (byte & 0x40) !== 0;
    const index = this.#integer(indexed ? 6 : 4);
    const name = index === 0 ? this.#text() : this.#entry(index)[0];
    const field = [name, this.#text()] as const;
    if (indexed) this.#add(field);
    return field;
  }

  #entry(index: number): readonly [string, string] {
    const entry = staticTable[index - 1] ?? this.#table[index - 1 - staticTable.length];
    if (!entry) throw new HpackError("an index that no table has");
    return entry;
  }

  #add(field: readonly [string, string]): void {
    this.#table.unshift(field);
    this.#size += field[0].length + field[1].length + entryOverhead;
    this.#evict();
  }

  #resize(size: number): void {
    if (size > tableBytes) throw new HpackError("a table size that was not allowed");
    this.#maxSize = size;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#maxSize) {
      const [name, value] = this.#table.pop() ?? ["", ""];
      this.#size -= name.length + value.length + entryOverhead;
    }
  }

  #integer(prefix: number): number {
    const most = 2 ** prefix - 1;
    let value = (this.#block[this.#at++] ?? 0) & most;
    if (value < most) return value;
    for (let scale = 1; scale <= 2 ** 21; scale *= 128) {
      const byte = this.#block[this.#at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new HpackError("an integer that is cut off or too large");
  }

  #text(): string {
    const coded = ((this.#block[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw new HpackError("a text that is cut off");
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    const plain = coded ? this.#huffman.decode(bytes) : Buffer.from(bytes);
    if (!plain) throw new HpackError("a text whose code is none");
    return plain.toString("latin1");
  }
}

/** Header block of these fields. Nothing is put into the peer's table and nothing is compressed: calls have few fields, and no state may go wrong. */
export function encodeFields(fields: Fields): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = "", value = ""] = [fields[i], fields[i + 1]];
    if (/[^\x20-\x7e\x80-\xff\t]/.test(value) || !/^:?[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
      throw new TypeError(`${JSON.stringify(name)} and its value are no header field`);
    const whole = staticTable.findIndex(([own, its]) => own === name && its === value && its !== "");
    if (whole >= 0) {
      parts.push(Buffer.of(0x80 | (whole + 1)));
      continue;
    }
    const index = staticTable.findIndex(([own]) => own === name) + 1;
    parts.push(integer(index, 4));
    if (index === 0) parts.push(integer(name.length, 7), Buffer.from(name, "latin1"));
    parts.push(integer(value.length, 7), Buffer.from(value, "latin1"));
  }
  return Buffer.concat(parts);
}

function integer(value: number, prefix: number): Buffer {
  const most = 2 ** prefix - 1;
  if (value < most) return Buffer.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
