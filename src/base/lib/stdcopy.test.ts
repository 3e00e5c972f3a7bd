import { expect, test } from "bun:test";
import { StdcopyDecoder, stdcopyHeader } from "./stdcopy.ts";

const frame = (stream: "stdout" | "stderr", text: string) => {
  const payload = new TextEncoder().encode(text);
  return Buffer.concat([stdcopyHeader(stream, payload.length), payload]);
};

test("a header has the stream and the big-endian length", () => {
  expect([...stdcopyHeader("stderr", 0x01020304)]).toEqual([2, 0, 0, 0, 1, 2, 3, 4]);
  expect([...stdcopyHeader("stdout", 0xffffffff)]).toEqual([1, 0, 0, 0, 255, 255, 255, 255]);
});

test("the decoder finds the frames wherever the stream was cut", () => {
  const wire = Buffer.concat([frame("stdout", "hello "), frame("stderr", "oops"), frame("stdout", "world")]);
  for (let size = 1; size <= wire.length; size++) {
    const decoder = new StdcopyDecoder();
    const got = { stdin: "", stdout: "", stderr: "", systemerr: "" };
    for (let at = 0; at < wire.length; at += size) {
      decoder.feed(wire.subarray(at, at + size), (stream, payload) => {
        got[stream] += new TextDecoder().decode(payload);
      });
    }
    expect(got.stdout).toBe("hello world");
    expect(got.stderr).toBe("oops");
    expect(decoder.atBoundary).toBe(true);
  }
});

test("an unknown stream is refused", () => {
  expect(() => new StdcopyDecoder().feed(new Uint8Array([9, 0, 0, 0, 0, 0, 0, 1]), () => undefined)).toThrow(
    "Unrecognized input header: 9",
  );
});
