import { ByteQueue } from "./byte-queue.ts";

/** More than any block of 900 kB takes compressed: 18002 groups of 50 symbols at 20 bits would be 2.2 MB. */
const blockBound = 2_400_000;
const blockMagic = [0x314159, 0x265359] as const;
const endMagic = [0x177245, 0x385090] as const;

/**
 * bzip2: a stream of blocks, each at most 900 kB that were run-length coded, Burrows-Wheeler transformed, moved to front and
 * Huffman coded. Concatenated streams are one; what follows the last stream is ignored, as bzip2(1) does.
 */
export async function* bunzip2(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const queue = new ByteQueue(source);
  try {
    for (let first = true; ; first = false) {
      await queue.fill(blockBound);
      const [b, z, h, digit] = queue.data.subarray(queue.at, queue.at + 4);
      const level = (digit ?? 0) - 0x30;
      if (b !== 0x42 || z !== 0x5a || h !== 0x68 || level < 1 || level > 9) {
        if (first) throw new RangeError("not a bzip2 stream");
        return;
      }
      queue.take(4);
      yield* blocks(queue, level * 100_000);
    }
  } finally {
    await queue.close();
  }
}

async function* blocks(queue: ByteQueue, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  const bits = new BitReader(queue);
  let combined = 0;
  for (;;) {
    await queue.fill(blockBound);
    const magic = [bits.read(24), bits.read(24)];
    if (magic[0] === endMagic[0] && magic[1] === endMagic[1]) {
      if (bits.read32() !== combined) throw new RangeError("checksum mismatch");
      return;
    }
    if (magic[0] !== blockMagic[0] || magic[1] !== blockMagic[1]) throw new RangeError("bad block header");
    const crc = bits.read32();
    const output = decodeBlock(bits, size);
    if (crcOf(output) !== crc) throw new RangeError("checksum mismatch");
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
    yield output;
  }
}

/** Bits, most significant first. Never holds a whole byte, so the queue stands at the next byte when a stream ends. */
class BitReader {
  readonly #queue: ByteQueue;
  #held = 0;
  #count = 0;

  constructor(queue: ByteQueue) {
    this.#queue = queue;
  }

  /** At most 24 bits. */
  read(count: number): number {
    while (this.#count < count) {
      this.#held = ((this.#held << 8) | this.#queue.byte()) & 0x7fffffff;
      this.#count += 8;
    }
    this.#count -= count;
    const value = (this.#held >>> this.#count) & ((1 << count) - 1);
    this.#held &= (1 << this.#count) - 1;
    return value;
  }

  read32(): number {
    return this.read(16) * 65536 + this.read(16);
  }
}

function decodeBlock(bits: BitReader, size: number): Uint8Array {
  if (bits.read(1) !== 0) throw new RangeError("randomised blocks (bzip2 0.9.0 and older) are not decoded");
  const origin = bits.read(24);
  const symbols = readSymbols(bits);
  const { selectors, tables } = readTables(bits, symbols.length + 2);
  const last = new Uint8Array(size);
  const length = readMoveToFront(bits, symbols, selectors, tables, last);
  if (origin >= length) throw new RangeError("bad block origin");
  return unrun(untransform(last, length, origin), length);
}

/** Which bytes occur: a map of 16 ranges, then 16 bits for each range used. */
function readSymbols(bits: BitReader): number[] {
  const symbols: number[] = [];
  const ranges = bits.read(16);
  for (let i = 0; i < 16; i++) {
    if ((ranges & (0x8000 >> i)) === 0) continue;
    const used = bits.read(16);
    for (let j = 0; j < 16; j++) if ((used & (0x8000 >> j)) !== 0) symbols.push(i * 16 + j);
  }
  if (symbols.length === 0) throw new RangeError("block without symbols");
  return symbols;
}

/** A canonical Huffman code: symbols sorted by length, and for each length the last code and where its symbols begin. */
interface HuffmanTable {
  readonly shortest: number;
  readonly longest: number;
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly sorted: Uint16Array;
}

function readTables(bits: BitReader, alphabet: number) {
  const groups = bits.read(3);
  const count = bits.read(15);
  if (groups < 2 || groups > 6 || count < 1) throw new RangeError("bad table count");
  const order = Array.from({ length: groups }, (_, i) => i);
  const selectors = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let index = 0;
    while (bits.read(1) === 1) if (++index >= groups) throw new RangeError("bad selector");
    const [table = 0] = order.splice(index, 1);
    order.unshift(table);
    selectors[i] = table;
  }
  const tables: HuffmanTable[] = [];
  for (let t = 0; t < groups; t++) {
    const lengths = new Uint8Array(alphabet);
    let length = bits.read(5);
    for (let i = 0; i < alphabet; i++) {
      for (;;) {
        if (length < 1 || length > 20) throw new RangeError("bad code length");
        if (bits.read(1) === 0) break;
        length += bits.read(1) === 0 ? 1 : -1;
      }
      lengths[i] = length;
    }
    tables.push(huffmanTable(lengths));
  }
  return { selectors, tables };
}

function huffmanTable(lengths: Uint8Array): HuffmanTable {
  const counts = new Int32Array(22);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  const sorted = new Uint16Array(
    [...lengths.keys()].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b),
  );
  const limit = new Int32Array(22).fill(-1);
  const base = new Int32Array(22);
  let code = 0;
  let index = 0;
  let shortest = 0;
  let longest = 0;
  for (let length = 1; length <= 20; length++) {
    const count = counts[length] ?? 0;
    base[length] = index - code;
    if (count > 0) {
      if (shortest === 0) shortest = length;
      longest = length;
      code += count;
      index += count;
      limit[length] = code - 1;
    }
    code <<= 1;
  }
  return { shortest, longest, limit, base, sorted };
}

function decodeSymbol(bits: BitReader, table: HuffmanTable): number {
  let code = bits.read(table.shortest);
  for (let length = table.shortest; length <= table.longest; length++) {
    if (code <= (table.limit[length] ?? -1)) {
      const symbol = table.sorted[code + (table.base[length] ?? 0)];
      if (symbol === undefined) break;
      return symbol;
    }
    code = (code << 1) | bits.read(1);
  }
  throw new RangeError("bad Huffman code");
}

/** Huffman codes -> runs of the front symbol (RUNA, RUNB in bijective base 2) and moves to front. Returns the length. */
function readMoveToFront(
  bits: BitReader,
  symbols: readonly number[],
  selectors: Uint8Array,
  tables: readonly HuffmanTable[],
  out: Uint8Array,
): number {
  const front = Uint8Array.from(symbols);
  const endOfBlock = symbols.length + 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  const flush = () => {
    if (run === 0) return;
    if (run > out.length - length) throw new RangeError("block too long");
    out.fill(front[0] ?? 0, length, length + run);
    length += run;
    run = 0;
    weight = 1;
  };
  for (const selector of selectors) {
    const table = tables[selector];
    if (!table) throw new RangeError("bad selector");
    for (let i = 0; i < 50; i++) {
      const symbol = decodeSymbol(bits, table);
      if (symbol <= 1) {
        run += weight << symbol;
        weight <<= 1;
        if (run > out.length) throw new RangeError("block too long");
        continue;
      }
      flush();
      if (symbol === endOfBlock) return length;
      if (length >= out.length) throw new RangeError("block too long");
      const value = front[symbol - 1] ?? 0;
      front.copyWithin(1, 0, symbol - 1);
      front[0] = value;
      out[length++] = value;
    }
  }
  throw new RangeError("block without end");
}

/** Inverse Burrows-Wheeler transform. */
function untransform(last: Uint8Array, length: number, origin: number): Uint8Array {
  const starts = new Int32Array(257);
  for (let i = 0; i < length; i++) starts[(last[i] ?? 0) + 1] = (starts[(last[i] ?? 0) + 1] ?? 0) + 1;
  for (let i = 0; i < 256; i++) starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0);
  const next = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const byte = last[i] ?? 0;
    const slot = starts[byte] ?? 0;
    starts[byte] = slot + 1;
    next[slot] = i;
  }
  const out = new Uint8Array(length);
  let at = next[origin] ?? 0;
  for (let i = 0; i < length; i++) {
    out[i] = last[at] ?? 0;
    at = next[at] ?? 0;
  }
  return out;
}

/** Undoes the first run-length coding: four equal bytes are followed by a count of more. */
function unrun(bytes: Uint8Array, length: number): Uint8Array {
  let out = new Uint8Array(length + (length >> 2) + 256);
  let size = 0;
  let same = 0;
  let before = -1;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] ?? 0;
    if (size + 256 > out.length) {
      const larger = new Uint8Array(out.length * 2);
      larger.set(out);
      out = larger;
    }
    if (same === 4) {
      out.fill(before, size, size + byte);
      size += byte;
      same = 0;
      before = -1;
      continue;
    }
    out[size++] = byte;
    same = byte === before ? same + 1 : 1;
    before = byte;
  }
  return out.subarray(0, size);
}

/** CRC-32 with the polynomial 0x04c11db7, most significant bit first (zlib's is the mirror image). */
function crcOf(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc << 8) ^ (crcTable[((crc >>> 24) ^ (bytes[i] ?? 0)) & 0xff] ?? 0);
  }
  return ~crc >>> 0;
}

const crcTable: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value;
});
