import { CryptoHasher } from "bun";
import { ByteQueue } from "./byte-queue.ts";
import { Crc64 } from "./crc64.ts";
import { Lzma2Decoder } from "./lzma2.ts";

/** Larger dictionaries than `xz -9` makes (64 MiB) are refused: the size is the archive's choice, the memory ours. */
const dictionaryLimit = 128 << 20;
const magic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

/** The .xz file format 1.2.1 with its one usual filter, LZMA2. Concatenated and padded streams are one. */
export async function* unxz(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const queue = new ByteQueue(source);
  try {
    for (let first = true; ; first = false) {
      while ((await queue.fill(12)) >= 4 && !first && queue.data[queue.at] === 0) queue.take(4);
      if (queue.length === 0 && !first) return;
      const header = Buffer.from(queue.take(12));
      if (!magic.every((byte, index) => header[index] === byte)) throw new RangeError("not an xz stream");
      if (Bun.hash.crc32(header.subarray(6, 8)) !== header.readUInt32LE(8))
        throw new RangeError("header checksum mismatch");
      const check = (header[7] ?? 0) & 15;
      if (header[6] !== 0 || (header[7] ?? 0) > 15) throw new RangeError("unknown stream flags");
      yield* blocks(queue, check);
      await index(queue);
    }
  } finally {
    await queue.close();
  }
}

async function* blocks(queue: ByteQueue, check: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    await queue.fill(1024);
    const size = queue.data[queue.at];
    if (size === undefined) throw new RangeError("unexpected end of file");
    if (size === 0) return;
    const dictionary = blockHeader(Buffer.from(queue.take((size + 1) * 4)));
    const decoder = new Lzma2Decoder(dictionary);
    const verifier = checkOf(check);
    let packed = 0;
    for (;;) {
      await queue.fill(65536 + 6);
      const start = queue.at;
      const plain = chunk(queue, decoder);
      packed += queue.at - start;
      if (!plain) break;
      verifier.update(plain);
      yield plain;
    }
    await queue.fill(128);
    // Compressed data and check value are padded to four bytes together.
    for (; packed % 4 !== 0; packed++) if (queue.byte() !== 0) throw new RangeError("bad block padding");
    verifier.verify(queue.take(verifier.size));
  }
}

/** Undefined at the end of the block's data. */
function chunk(queue: ByteQueue, decoder: Lzma2Decoder): Uint8Array | undefined {
  const control = queue.byte();
  if (control === 0) return undefined;
  if (control < 0x80) {
    if (control > 2) throw new RangeError("LZMA2: bad control byte");
    const size = queue.byte() * 256 + queue.byte() + 1;
    return decoder.stored(control === 1, queue.take(size));
  }
  const size = ((control & 0x1f) << 16) + queue.byte() * 256 + queue.byte() + 1;
  const packed = queue.byte() * 256 + queue.byte() + 1;
  const reset = (control >> 5) & 3;
  const props = reset >= 2 ? queue.byte() : undefined;
  return decoder.chunk(reset, props, queue.take(packed), size);
}

/** Returns the dictionary size; refuses any filter but LZMA2. */
function blockHeader(header: Buffer): number {
  const end = header.length - 4;
  if (Bun.hash.crc32(header.subarray(0, end)) !== header.readUInt32LE(end)) {
    throw new RangeError("block header checksum mismatch");
  }
  const flags = header[1] ?? 0;
  const cursor = { at: 2 };
  if ((flags & 0x40) !== 0) variableNumber(header, cursor);
  if ((flags & 0x80) !== 0) variableNumber(header, cursor);
  const filter = variableNumber(header, cursor);
  const length = variableNumber(header, cursor);
  if ((flags & 3) !== 0 || filter !== 0x21 || length !== 1)
    throw new RangeError("only the LZMA2 filter is supported");
  const bits = header[cursor.at] ?? 255;
  if (bits > 40) throw new RangeError("bad dictionary size");
  const size = bits === 40 ? 0xffffffff : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (size > dictionaryLimit)
    throw new RangeError(`dictionary of ${size} bytes is larger than ${dictionaryLimit}`);
  return size;
}

function variableNumber(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  for (let shift = 0; shift < 9; shift++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * shift);
    if ((byte & 0x80) === 0) return value;
  }
  throw new RangeError("bad number");
}

/** The index and footer repeat what the blocks said: they are read past. */
async function index(queue: ByteQueue): Promise<void> {
  let length = 0;
  const next = async () => {
    await queue.fill(16);
    length++;
    return queue.byte();
  };
  const number = async () => {
    let value = 0;
    for (let shift = 0; shift < 9; shift++) {
      const byte = await next();
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if ((byte & 0x80) === 0) return value;
    }
    throw new RangeError("bad number");
  };
  await next();
  const records = await number();
  for (let i = 0; i < records * 2; i++) await number();
  while (length % 4 !== 0) await next();
  await queue.fill(16);
  queue.take(4);
  const footer = queue.take(12);
  if (footer[10] !== 0x59 || footer[11] !== 0x5a) throw new RangeError("bad stream footer");
}

interface Check {
  readonly size: number;
  update(bytes: Uint8Array): void;
  verify(stored: Uint8Array): void;
}

const sizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/** Checks that are not known are skipped, as the format allows. */
function checkOf(id: number): Check {
  const size = sizes[id] ?? 0;
  const same = (stored: Uint8Array, computed: Uint8Array) => {
    if (Buffer.compare(stored, computed) !== 0) throw new RangeError("checksum mismatch");
  };
  if (id === 1) {
    let crc = 0;
    return {
      size,
      update: (bytes) => {
        crc = Bun.hash.crc32(bytes, crc);
      },
      verify: (stored) => {
        const computed = Buffer.alloc(4);
        computed.writeUInt32LE(crc);
        same(stored, computed);
      },
    };
  }
  if (id === 4) {
    const crc = new Crc64();
    return { size, update: (bytes) => crc.update(bytes), verify: (stored) => same(stored, crc.digest()) };
  }
  if (id === 10) {
    const hash = new CryptoHasher("sha256");
    return {
      size,
      update: (bytes) => void hash.update(bytes),
      verify: (stored) => same(stored, hash.digest()),
    };
  }
  return { size, update: () => undefined, verify: () => undefined };
}
