import { describe, expect, test } from "bun:test";
import { encodeFields, HpackDecoder, HpackError } from "./hpack.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const limit = 1 << 20;

/** A generator of numbers that a seed repeats. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}

describe("header blocks", () => {
  test("of RFC 7541's examples are read, plain and in its code, with the table that they fill", () => {
    const first = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
    const second = [...first, "cache-control", "no-cache"];
    const third = [":method", "GET", ":scheme", "https", ":path", "/index.html"];
    third.push(":authority", "www.example.com", "custom-key", "custom-value");
    const examples = [
      // C.3
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
      // C.4
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
    ];
    for (const blocks of examples) {
      const decoder = new HpackDecoder(limit);
      expect(blocks.map((block) => decoder.decode(hex(block)))).toEqual([first, second, third]);
    }
  });

  test("that are written are read again, long values and odd bytes too", () => {
    const fields = [":method", "POST", ":path", "/a.B/C", ":status", "200", "te", "trailers", "x-empty", ""];
    fields.push(
      "grpc-message",
      "n%C3%A4h",
      "x-latin",
      "gr\xfc\xdfe",
      "include-patterns",
      "x".repeat(300_000),
    );
    expect(new HpackDecoder(limit).decode(encodeFields(fields))).toEqual(fields);
    for (const bad of [
      ["x", "a\r\nb: c"],
      ["x", "\0"],
      ["X", "a"],
      ["", "a"],
      ["a b", "c"],
      ["x", "ü€"],
    ])
      expect(() => encodeFields(bad)).toThrow("no header field");
  });

  test("the oldest of the table go when it is full, and an entry larger than it empties it", () => {
    const decoder = new HpackDecoder(limit);
    const indexed = (value: string) =>
      Buffer.concat([
        hex("4001 78"),
        Buffer.of(0x7f, 0x80 | ((value.length - 127) & 0x7f), (value.length - 127) >> 7),
        Buffer.from(value),
      ]);
    for (let i = 0; i < 5; i++) decoder.decode(indexed(String(i).repeat(1000)));
    // 62 is the newest; each counts 1033 bytes, so three fit into 4096.
    expect(decoder.decode(hex("be"))).toEqual(["x", "4".repeat(1000)]);
    expect(decoder.decode(hex("c0"))).toEqual(["x", "2".repeat(1000)]);
    expect(() => decoder.decode(hex("c1"))).toThrow(HpackError);
    decoder.decode(indexed("y".repeat(5000)));
    expect(() => decoder.decode(hex("be"))).toThrow(HpackError);
    decoder.decode(indexed("z".repeat(1000)));
    expect(decoder.decode(hex("20 3f e1 1f"))).toEqual([]);
    expect(() => decoder.decode(hex("be"))).toThrow(HpackError);
  });

  test("too long a list is counted and left out, and the next one is read", () => {
    const decoder = new HpackDecoder(1000);
    expect(decoder.decode(encodeFields(["x", "y".repeat(2000)]))).toBeUndefined();
    expect(decoder.decode(Buffer.alloc(5_000, 0x82))).toBeUndefined();
    expect(decoder.decode(hex("82"))).toEqual([":method", "GET"]);
  });

  test("rubbish is refused as such", () => {
    const refused = ["80", "ff ffff ffff ff", "40", "00 05 61", "3f e2 1f", "82 20", "00 01 61 81 fe"];
    // The end mark within a text, and padding that is no beginning of it.
    refused.push("00 01 61 84 ffff ffff", "00 01 61 81 00");
    for (const block of refused) expect(() => new HpackDecoder(limit).decode(hex(block))).toThrow(HpackError);
    const seed = Number(process.env["TUG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
    const next = random(seed);
    for (let round = 0; round < 20_000; round++) {
      const rubbish = Buffer.from(Array.from({ length: next(40) }, () => next(256)));
      try {
        new HpackDecoder(limit).decode(rubbish);
      } catch (error) {
        expect({ seed, error }).toMatchObject({ seed, error: { name: "HpackError" } });
      }
    }
  });
});
