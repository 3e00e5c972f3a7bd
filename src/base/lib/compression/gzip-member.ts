/** Bytes that tell whether compressing the rest is worth the while. */
const sample = 32 * 1024;
const worthwhile = 0.95;
/** A stored block has 16 bits for its length (RFC 1951, 3.2.4). */
const storedLimit = 0xffff;

/**
 * A piece of a stream as a gzip member of its own, in parts to be written one after the other; members one after the other
 * are one gzip stream (RFC 1952, 2.2). Fast rather than small, and what will not get smaller (media, archives, random data)
 * is stored as it is: the parts then lie in `bytes` itself.
 */
export function gzipMember(bytes: Uint8Array): readonly Uint8Array[] {
  const plain = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  const start = (plain.length - Math.min(sample, plain.length)) >> 1;
  const probe = plain.subarray(start, start + sample);
  const shrinks = Bun.gzipSync(probe, { level: 1, library: "libdeflate" }).length < probe.length * worthwhile;
  return shrinks ? [Bun.gzipSync(plain, { level: 1, library: "libdeflate" })] : stored(plain);
}

/** No name, no time, no flags; 255 is "unknown" for the file system it comes from (RFC 1952, 2.3). */
const head = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);

function stored(plain: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [head];
  let at = 0;
  do {
    const length = Math.min(plain.length - at, storedLimit);
    const block = Buffer.allocUnsafe(5);
    block[0] = at + length === plain.length ? 1 : 0;
    block.writeUInt16LE(length, 1);
    block.writeUInt16LE(length ^ 0xffff, 3);
    parts.push(block, plain.subarray(at, at + length));
    at += length;
  } while (at < plain.length);
  const tail = Buffer.allocUnsafe(8);
  tail.writeUInt32LE(Bun.hash.crc32(plain), 0);
  tail.writeUInt32LE(plain.length, 4);
  parts.push(tail);
  return parts;
}
