import { describe, expect, test } from "bun:test";
import { ChunkedDecoder } from "./chunked.ts";

const encode = (text: string) => new TextEncoder().encode(text);

describe("ChunkedDecoder", () => {
  const wire = encode("5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nNEXT");

  test("decodes however the bytes were cut and hands back what follows", () => {
    for (let size = 1; size <= wire.length; size++) {
      const decoder = new ChunkedDecoder();
      let text = "";
      let rest = "";
      for (let at = 0; at < wire.length; at += size) {
        const piece = wire.subarray(at, at + size);
        if (decoder.done) {
          rest += new TextDecoder().decode(piece);
          continue;
        }
        const after = decoder.feed(piece, (payload) => {
          text += new TextDecoder().decode(payload);
        });
        if (after) rest += new TextDecoder().decode(after);
      }
      expect(text).toBe("hello world");
      expect(rest).toBe("NEXT");
    }
  });

  test.each(["x\r\n", "-1\r\n", "\r\n", "2\r\nabc\r\n", "ffffffffffffffff\r\n", `${"1".repeat(5000)}`])(
    "refuses %j",
    (bad) => {
      expect(() => new ChunkedDecoder().feed(encode(bad), () => undefined)).toThrow(
        "malformed chunked encoding",
      );
    },
  );
});
