import { expect, test } from "bun:test";
import { type ChunkSource, demultiplex } from "./frames.ts";

function frame(stream: number, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

function cut(bytes: Buffer, size: number): ChunkSource {
  let at = 0;
  return {
    next: () => {
      if (at >= bytes.length) return null;
      at += size;
      return Buffer.from(bytes.subarray(at - size, at));
    },
  };
}

async function collect(source: ChunkSource): Promise<{ writes: [string, string][] }> {
  const writes: [string, string][] = [];
  const into = (name: string) => (chunk: Uint8Array) => {
    writes.push([name, Buffer.from(chunk).toString()]);
    return undefined;
  };
  await demultiplex(source, { stdout: into("out"), stderr: into("err") });
  return { writes };
}

const lines = [
  frame(1, "one\n"),
  frame(1, "two\n"),
  frame(2, "bad\n"),
  frame(1, ""),
  frame(1, "x".repeat(300)),
  frame(1, "end"),
];

test("frames that came together leave in one write a stream, in order", async () => {
  expect((await collect(cut(Buffer.concat(lines), 10_000))).writes).toEqual([
    ["out", "one\ntwo\n"],
    ["err", "bad\n"],
    ["out", `${"x".repeat(300)}end`],
  ]);
});

test("however the stream is cut, the same bytes come out", async () => {
  for (const size of [1, 3, 7, 8, 9, 13, 100]) {
    const { writes } = await collect(cut(Buffer.concat(lines), size));
    const of = (name: string) =>
      writes
        .filter(([stream]) => stream === name)
        .map(([, text]) => text)
        .join("");
    expect(of("out")).toBe(`one\ntwo\n${"x".repeat(300)}end`);
    expect(of("err")).toBe("bad\n");
  }
});

test("a cut frame, an unknown stream and the daemon's own error are errors", async () => {
  await expect(collect(cut(frame(1, "abc").subarray(0, 9), 100))).rejects.toThrow("within a frame");
  await expect(collect(cut(frame(9, "abc"), 100))).rejects.toThrow("Unrecognized input header: 9");
  await expect(collect(cut(frame(3, "broken"), 100))).rejects.toThrow("error from daemon in stream: broken");
});
