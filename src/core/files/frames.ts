/** Frames between daemon and helper: a length of four bytes (little endian), one byte that tells what follows. */
export const frameHead = 5;
export const jsonFrame = 0;
export const dataFrame = 1;

/** A frame larger than this was not written by us. */
const jsonLimit = 64 * 1024 * 1024;

export function frameHeader(kind: number, length: number): Uint8Array {
  const head = Buffer.alloc(frameHead);
  head.writeUInt32LE(length, 0);
  head[4] = kind;
  return head;
}

export type FramePart =
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "data"; readonly bytes: Uint8Array };

/** Reads frames from chunks cut anywhere. Data is handed on as it comes, not gathered. */
export async function* readFrames(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<FramePart, void, undefined> {
  let held: Buffer = Buffer.alloc(0);
  let left = 0;
  for await (const chunk of source) {
    let bytes: Buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (left > 0) {
      const data = bytes.subarray(0, left);
      left -= data.length;
      yield { kind: "data", bytes: data };
      bytes = bytes.subarray(data.length);
    }
    if (bytes.length === 0) continue;
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    while (held.length >= frameHead) {
      const length = held.readUInt32LE(0);
      if (held[4] === dataFrame) {
        const data = held.subarray(frameHead, frameHead + length);
        held = held.subarray(frameHead + data.length);
        left = length - data.length;
        if (data.length > 0) yield { kind: "data", bytes: data };
        if (left > 0) break;
        continue;
      }
      if (length > jsonLimit) throw new RangeError(`a frame of ${length} bytes`);
      if (held.length < frameHead + length) break;
      const value: unknown = JSON.parse(held.toString("utf8", frameHead, frameHead + length));
      held = held.subarray(frameHead + length);
      yield { kind: "json", value };
    }
  }
  if (held.length > 0 || left > 0) throw new RangeError("the stream ends within a frame");
}
