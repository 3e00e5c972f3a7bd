/** Bytes that tell whether compressing the rest is worth the while. */
const sample = 32 * 1024;
const worthwhile = 0.95;

/**
 * A piece of a stream as a gzip member of its own; members one after the other are one gzip stream (RFC 1952, 2.2). Fast
 * rather than small, and what will not get smaller (media, archives, random data) is stored as it is.
 */
export function gzipMember(bytes: Uint8Array): Uint8Array {
  const plain = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  const start = (plain.length - Math.min(sample, plain.length)) >> 1;
  const probe = plain.subarray(start, start + sample);
  const shrinks = Bun.gzipSync(probe, { level: 1, library: "libdeflate" }).length < probe.length * worthwhile;
  return Bun.gzipSync(plain, { level: shrinks ? 1 : 0, library: "libdeflate" });
}
