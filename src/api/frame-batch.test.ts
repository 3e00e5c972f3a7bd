import { expect, test } from "bun:test";
import { demultiplex } from "../client/stream/frames.ts";
import { FrameBatch, type Sink } from "./frame-batch.ts";

class Record implements Sink {
  readonly writes: Uint8Array[] = [];
  fail = false;
  async write(bytes: Uint8Array): Promise<void> {
    if (this.fail) throw new Error("gone");
    this.writes.push(bytes.slice());
  }
  async write2(head: Uint8Array, body: Uint8Array): Promise<void> {
    await this.write(Buffer.concat([head, body]));
  }
  async payload(): Promise<{ out: number; err: number }> {
    const sum = { out: 0, err: 0 };
    const count = (name: "out" | "err") => (piece: Uint8Array) => {
      sum[name] += piece.length;
      return undefined;
    };
    const pieces = this.writes.values();
    await demultiplex(
      { next: () => pieces.next().value ?? null },
      { stdout: count("out"), stderr: count("err") },
    );
    return sum;
  }
}

const cut = 8191;

test("what is short leaves at once, a frame each", async () => {
  const sink = new Record();
  const batch = new FrameBatch(sink, true);
  await batch.write("stdout", new Uint8Array(5));
  await batch.write("stderr", new Uint8Array(8190));
  expect(sink.writes.map((w) => w.length)).toEqual([13, 8198]);
});

test("what was cut leaves in large frames, and its short end with it", async () => {
  const sink = new Record();
  const batch = new FrameBatch(sink, true);
  for (let i = 0; i < 20; i++) await batch.write("stdout", new Uint8Array(cut));
  await batch.write("stdout", new Uint8Array(7));
  expect(await sink.payload()).toEqual({ out: 20 * cut + 7, err: 0 });
  expect(sink.writes.length).toBe(3);
});

test("the order of the two streams is kept", async () => {
  const sink = new Record();
  const batch = new FrameBatch(sink, true);
  await batch.write("stdout", new Uint8Array(cut));
  await batch.write("stderr", new Uint8Array(3));
  await batch.write("stdout", new Uint8Array(cut));
  await batch.flush();
  expect(sink.writes.map((w) => [w[0], w.length])).toEqual([
    [1, cut + 8],
    [2, 11],
    [1, cut + 8],
  ]);
});

test("what is held does not wait for more than a moment", async () => {
  const sink = new Record();
  const batch = new FrameBatch(sink, false);
  await batch.write("stdout", new Uint8Array(cut));
  expect(sink.writes.length).toBe(0);
  while (sink.writes.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(sink.writes[0]?.length).toBe(cut);
});

test("pieces longer than a frame pass without a copy", async () => {
  const sink = new Record();
  const batch = new FrameBatch(sink, true);
  await batch.write("stdout", new Uint8Array(cut));
  await batch.write("stdout", new Uint8Array(100_000));
  expect(sink.writes.map((w) => w.length)).toEqual([cut + 8, 100_008]);
});

test("a failure that nobody awaited comes with the next write", async () => {
  const sink = new Record();
  sink.fail = true;
  const batch = new FrameBatch(sink, true);
  await batch.write("stdout", new Uint8Array(cut));
  await expect(batch.flush()).rejects.toThrow("gone");
  await expect(batch.write("stdout", new Uint8Array(cut))).rejects.toThrow("gone");
});
