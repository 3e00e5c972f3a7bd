import { expect, test } from "bun:test";
import { type EncodeOptions, LogEncoder } from "./encode.ts";

const base: EncodeOptions = { stdout: true, stderr: true, framed: false, timestamps: false, details: "" };
const at = "2024-05-06T07:08:09.123456789";

function encode(text: string, options: Partial<EncodeOptions> = {}): string {
  const input = Buffer.from(text);
  return new LogEncoder({ ...base, ...options }).encode(input, 0, input.length).toString("latin1");
}

const frame = (stream: number, text: string) =>
  `${String.fromCharCode(stream)}\0\0\0${String.fromCharCode(0, 0, text.length >> 8, text.length & 255)}${text}`;

test("each line becomes one frame of its stream", () => {
  const input = `${at}+00:00 stdout F one\n${at}+00:00 stderr F two\n${at}Z stdout F \n`;
  expect(encode(input)).toBe("one\ntwo\n\n");
  expect(encode(input, { framed: true })).toBe(frame(1, "one\n") + frame(2, "two\n") + frame(1, "\n"));
  expect(encode(input, { stdout: false })).toBe("two\n");
});

test("partial records of a line come out as one frame, without added newlines", () => {
  const input = `${at}+00:00 stdout P ab\n${at}+00:00 stdout P cd\n${at}+00:00 stdout F ef\n${at}+00:00 stdout P tail\n`;
  expect(encode(input)).toBe("abcdef\ntail");
  expect(encode(input, { framed: true })).toBe(frame(1, "abcdef\n") + frame(1, "tail"));
});

test("a line that another stream cuts in two goes on in a frame of its own, with one timestamp in all", () => {
  const input = `${at}+00:00 stdout P ab\n${at}+00:00 stderr F err\n${at}+00:00 stdout F cd\n`;
  expect(encode(input, { framed: true })).toBe(frame(1, "ab") + frame(2, "err\n") + frame(1, "cd\n"));
  expect(encode(input, { timestamps: true })).toBe(`${at}Z ab${at}Z err\ncd\n`);
});

test("a line's timestamp is kept across two buffers", () => {
  const encoder = new LogEncoder({ ...base, timestamps: true });
  const parts = [`${at}+00:00 stdout P ab\n`, `${at}+00:00 stdout F cd\n`].map((text) => Buffer.from(text));
  expect(Buffer.concat(parts.map((part) => encoder.encode(part, 0, part.length))).toString()).toBe(
    `${at}Z abcd\n`,
  );
});

test("timestamps are in UTC whatever conmon's zone", () => {
  expect(encode("2024-05-06T09:08:09.000000001+02:00 stdout F x\n", { timestamps: true })).toBe(
    "2024-05-06T07:08:09.000000001Z x\n",
  );
});

test("details stand between timestamp and line", () => {
  const input = `${at}+00:00 stdout F one\n${at}+00:00 stdout F two\n`;
  expect(encode(input, { timestamps: true, details: "a=1 " })).toBe(`${at}Z a=1 one\n${at}Z a=1 two\n`);
  expect(encode(input, { details: "x".repeat(100_000), framed: true }).length).toBe(200_000 + 8 + 16);
});

test("since and until are inclusive, and reading ends after until", () => {
  const lines = [1, 2, 3].map((s) => `2024-05-06T07:08:0${s}.000000000+00:00 stdout F ${s}\n`).join("");
  const time = (s: number) => BigInt(Date.UTC(2024, 4, 6, 7, 8, s)) * 1_000_000n;
  expect(encode(lines, { since: time(2) })).toBe("2\n3\n");
  expect(encode(lines, { until: time(2) })).toBe("1\n2\n");
  const encoder = new LogEncoder({ ...base, until: time(1) });
  const input = Buffer.from(lines);
  expect(encoder.encode(input, 0, input.length).toString()).toBe("1\n");
  expect(encoder.ended).toBe(true);
});

test("damage costs its own line and no other", () => {
  const good = `${at}+00:00 stdout F good\n`;
  expect(encode(`${good}garbage\n${good}`)).toBe("good\ngood\n");
  expect(encode(`${good}${"\0".repeat(300)}\n${good}`)).toBe("good\ngood\n");
  expect(encode(`\n\n${good}`)).toBe("good\n");
  expect(encode(`${at}+00:00 stdout X bad\n${good}`)).toBe("good\n");
});

test("text may hold any byte but a newline", () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 10));
  const input = Buffer.concat([Buffer.from(`${at}+00:00 stdout F `), bytes, Buffer.from("\n")]);
  const output = new LogEncoder(base).encode(input, 0, input.length);
  expect(output.equals(Buffer.concat([bytes, Buffer.from("\n")]))).toBe(true);
});
