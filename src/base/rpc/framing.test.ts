import { describe, expect, test } from "bun:test";
import { FrameDecoder, FrameWriter } from "./framing.ts";

const decode = (decoder: FrameDecoder, chunk: Uint8Array) => {
  const found: string[] = [];
  decoder.push(chunk, (message) => found.push(Buffer.from(message).toString("latin1")));
  return found;
};

/** A generator of numbers that a seed repeats (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("gRPC's framing", () => {
  test("messages come out whole however the data was cut, empty ones too", () => {
    const seed = Number(process.env["TUG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
    const next = random(seed);
    for (let round = 0; round < 200; round++) {
      const messages = Array.from({ length: 1 + Math.floor(next() * 20) }, () =>
        Buffer.alloc(Math.floor(next() ** 4 * 40_000), Math.floor(next() * 256)),
      );
      const writer = new FrameWriter();
      const parts: Uint8Array[] = [];
      for (const message of messages) {
        writer.append(message);
        if (next() < 0.2) parts.push(writer.take());
      }
      parts.push(writer.take());
      const wire = Buffer.concat(parts);
      const decoder = new FrameDecoder(1 << 20);
      const found: string[] = [];
      for (let at = 0; at < wire.length; ) {
        const size = 1 + Math.floor(next() ** 3 * 10_000);
        found.push(...decode(decoder, wire.subarray(at, at + size)));
        at += size;
      }
      expect({ seed, found: found.length }).toEqual({ seed, found: messages.length });
      expect(found.every((text, i) => text === messages[i]?.toString("latin1"))).toBe(true);
      expect(decoder.incomplete).toBe(false);
    }
  });

  test("rubbish ends in an error or waits for more, and never takes more memory than it sent", () => {
    const seed = Number(process.env["TUG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
    const next = random(seed);
    for (let round = 0; round < 2_000; round++) {
      const rubbish = Buffer.from(Array.from({ length: 40 }, () => Math.floor(next() * 256)));
      if (next() < 0.5) rubbish[0] = 0;
      try {
        decode(new FrameDecoder(1 << 20), rubbish);
      } catch (error) {
        expect({ seed, error }).toMatchObject({ seed, error: { name: "TugError" } });
      }
    }
  });

  test("a message that claims too much is refused by its prefix, a compressed one too", () => {
    const large = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]);
    expect(() => decode(new FrameDecoder(1000), large)).toThrow(
      "grpc: received message larger than max (2147483647 vs. 1000)",
    );
    const compressed = Buffer.from([1, 0, 0, 0, 1, 0]);
    expect(() => decode(new FrameDecoder(1000), compressed)).toThrow("compressed messages are not accepted");
  });
});
