import { invalid, type TugError } from "../../../base/lib/errors.ts";

/**
 * Reads the rows of one table of an SQLite file that anybody may have made (sqlite.org/fileformat2.html). SQLite itself can be led in circles
 * by pages that lead to each other, by views and by generated columns, and would hold the event loop meanwhile; here each page is
 * looked at once, nothing of the schema is carried out, and the work is bounded by the size of the file. A write-ahead log is not looked at: whoever
 * closes a database last writes it back.
 *
 * @throws invalid-argument for what is no such file, or broken.
 */
export function* tableRows(file: Uint8Array, table: string): Generator<readonly SqliteValue[]> {
  const pages = new Pages(file);
  for (const [type, name, , root] of rowsBelow(pages, 1)) {
    if (type !== "table" || name !== table || typeof root !== "number") continue;
    yield* rowsBelow(pages, root);
    return;
  }
}

/** NULL is null; a whole number that no other can be taken for is a number. */
export type SqliteValue = null | number | bigint | string | Uint8Array;

/** SQLite's own limit is 2000 (sqlite.org/limits.html). */
const COLUMNS = 2000;
const MAGIC = "SQLite format 3\0";
const INTERIOR = 5;
const LEAF = 13;

function broken(what: string): TugError {
  return invalid(`no readable SQLite database: ${what}`);
}

class Pages {
  readonly #file: Buffer;
  readonly #size: number;
  readonly #seen: Uint8Array;
  /** Bytes of a page that hold content. */
  readonly usable: number;

  constructor(file: Uint8Array) {
    this.#file = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
    if (file.length < 512 || this.#file.toString("latin1", 0, 16) !== MAGIC) throw broken("no SQLite file");
    const size = this.#file.readUInt16BE(16);
    this.#size = size === 1 ? 65_536 : size;
    if (this.#size < 512 || (this.#size & (this.#size - 1)) !== 0) throw broken("page size");
    this.usable = this.#size - this.#file.readUInt8(20);
    if (this.usable < 480) throw broken("reserved space");
    if (this.#file.readUInt32BE(56) !== 1) throw broken("its texts are not UTF-8");
    this.#seen = new Uint8Array(Math.floor(file.length / this.#size) + 1);
  }

  /** Each once. Page 1 begins with the file's header. */
  take(number: number): { readonly bytes: Buffer; readonly start: number } {
    if (number < 1 || number >= this.#seen.length) throw broken("a page that is not there");
    if (this.#seen[number] !== 0) throw broken("a page that is used twice");
    this.#seen[number] = 1;
    const at = (number - 1) * this.#size;
    return { bytes: this.#file.subarray(at, at + this.#size), start: number === 1 ? 100 : 0 };
  }
}

function* rowsBelow(pages: Pages, root: number): Generator<readonly SqliteValue[]> {
  const pending = [root];
  for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
    const { bytes, start } = pages.take(number);
    const kind = bytes[start];
    if (kind !== INTERIOR && kind !== LEAF) throw broken("a page of another kind");
    const count = bytes.readUInt16BE(start + 3);
    const cells = start + (kind === INTERIOR ? 12 : 8);
    if (cells + 2 * count > pages.usable) throw broken("more cells than a page has");
    const at = (index: number) => bytes.readUInt16BE(cells + 2 * index);
    if (kind === INTERIOR) {
      pending.push(bytes.readUInt32BE(start + 8));
      for (let index = count - 1; index >= 0; index--) {
        if (at(index) + 4 > pages.usable) throw broken("a cell outside its page");
        pending.push(bytes.readUInt32BE(at(index)));
      }
      continue;
    }
    // Cells do not overlap: what they take together is less than the page.
    let room = pages.usable;
    for (let index = 0; index < count; index++) {
      const { payload, taken } = leafCell(pages, bytes, at(index));
      room -= taken;
      if (room < 0) throw broken("overlapping cells");
      yield record(payload);
    }
  }
}

/** The payload of a leaf's cell, with what of it lies on overflow pages; `taken` is what the cell takes of its page. */
function leafCell(pages: Pages, page: Buffer, start: number): { payload: Buffer; taken: number } {
  const { usable } = pages;
  const size = varint(page, start);
  const key = varint(page, size.next);
  const most = usable - 35;
  let local = Number(size.value);
  if (local > most) {
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const fitting = least + ((local - least) % (usable - 4));
    local = fitting <= most ? fitting : least;
  }
  const end = key.next + local;
  if (end > usable) throw broken("a cell outside its page");
  const first = page.subarray(key.next, end);
  let rest = Number(size.value) - local;
  if (rest === 0) return { payload: first, taken: end - start };
  if (end + 4 > usable) throw broken("a cell outside its page");
  const parts = [first];
  for (let number = page.readUInt32BE(end); rest > 0; ) {
    const { bytes } = pages.take(number);
    const part = bytes.subarray(4, Math.min(usable, 4 + rest));
    parts.push(part);
    rest -= part.length;
    number = bytes.readUInt32BE(0);
  }
  return { payload: Buffer.concat(parts), taken: end + 4 - start };
}

function record(payload: Buffer): readonly SqliteValue[] {
  const header = varint(payload, 0);
  const end = Number(header.value);
  if (end > payload.length) throw broken("a record's header");
  const values: SqliteValue[] = [];
  let body = end;
  for (let at = header.next; at < end; ) {
    const type = varint(payload, at);
    at = type.next;
    const { value, size } = valueAt(payload, body, Number(type.value));
    body += size;
    if (values.push(value) > COLUMNS) throw broken("more columns than any table has");
  }
  return values;
}

/** Bytes of the serial types below 12 ("Record Format"). */
const sizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const;

function valueAt(payload: Buffer, at: number, type: number): { value: SqliteValue; size: number } {
  const size = type >= 12 ? Math.floor((type - 12) / 2) : sizes[type];
  if (size === undefined || at + size > payload.length) throw broken("a value outside its record");
  if (type >= 12) {
    const bytes = payload.subarray(at, at + size);
    return { value: type % 2 === 0 ? bytes : bytes.toString("utf8"), size };
  }
  if (type === 0) return { value: null, size };
  if (type >= 8) return { value: type - 8, size };
  if (type === 7) return { value: payload.readDoubleBE(at), size };
  if (type === 6) return { value: payload.readBigInt64BE(at), size };
  return { value: payload.readIntBE(at, size), size };
}

/** "Variable-length integers": seven bits a byte, the highest first, the ninth byte whole. */
function varint(bytes: Buffer, start: number): { readonly value: bigint; readonly next: number } {
  let value = 0n;
  for (let index = 0; index < 9; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) throw broken("a number that is cut off");
    if (index === 8) return { value: BigInt.asUintN(64, (value << 8n) | BigInt(byte)), next: start + 9 };
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (byte < 0x80) return { value, next: start + index + 1 };
  }
  throw broken("a number that does not end");
}
