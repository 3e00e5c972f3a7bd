import { expect, test } from "bun:test";
import { decodePath, encodePath } from "./path-bytes.ts";

test("any byte string survives decode and encode", () => {
  const samples = ["plain", "Főtanúsítvány", "😀", "\ufffd"].map((text) => Buffer.from(text));
  samples.push(Buffer.from([0x66, 0xe9, 0x2f, 0xff, 0xc3]), Buffer.from([0xf0, 0x9f, 0x98, 0xe9]));
  for (let i = 0; i < 500; i++) samples.push(Buffer.from(crypto.getRandomValues(new Uint8Array(i % 40))));
  for (const bytes of samples) expect(encodePath(decodePath(bytes)).equals(bytes)).toBe(true);
});

test("valid UTF-8 is decoded as itself", () => {
  expect(decodePath(Buffer.from("naïve/😀"))).toBe("naïve/😀");
  expect(decodePath(Buffer.from([0x61, 0xe9]))).toBe("a\udce9");
});
