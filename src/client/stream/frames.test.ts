import { describe, expect, test } from "bun:test";
import { demultiplex } from "./frames.ts";
import { jsonLines } from "./json-lines.ts";

const frame = (stream: number, text: string) => {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
};
const source = (bytes: Buffer, cut: number) => {
  let at = 0;
  return {
    next: () => {
      if (at >= bytes.length) return null;
      at += cut;
      return bytes.subarray(at - cut, at);
    },
  };
};
const collect = async (bytes: Buffer, cut: number) => {
  const got = { stdout: "", stderr: "" };
  await demultiplex(source(bytes, cut), {
    stdout: async (chunk) => {
      got.stdout += Buffer.from(chunk).toString();
    },
    stderr: async (chunk) => {
      got.stderr += Buffer.from(chunk).toString();
    },
  });
  return got;
};

describe("multiplexed streams", () => {
  const bytes = Buffer.concat([frame(1, "out one "), frame(2, "err "), frame(1, ""), frame(1, "out two")]);
  test.each([1, 3, 7, 8, 9, 64])("come apart wherever they are cut (%p bytes)", async (cut) => {
    expect(await collect(bytes, cut)).toEqual({ stdout: "out one out two", stderr: "err " });
  });
  test("an error of the daemon's is thrown", async () => {
    await expect(collect(Buffer.concat([frame(1, "x"), frame(3, "disk gone")]), 64)).rejects.toThrow(
      "disk gone",
    );
  });
  test("a cut frame and a wrong stream number are errors", async () => {
    await expect(collect(bytes.subarray(0, bytes.length - 2), 64)).rejects.toThrow("within a frame");
    await expect(collect(frame(9, "x"), 64)).rejects.toThrow("Unrecognized input header: 9");
  });
});

test("JSON lines come apart wherever they are cut, multi-byte characters too", async () => {
  const bytes = Buffer.from('{"a":"ä€😀"}\r\n\n{"b":2}\n{"c":3}');
  for (const cut of [1, 2, 5, 100]) {
    const values: unknown[] = [];
    for await (const value of jsonLines(source(bytes, cut))) values.push(value);
    expect(values).toEqual([{ a: "ä€😀" }, { b: 2 }, { c: 3 }]);
  }
});
