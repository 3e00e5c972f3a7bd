import { expect, test } from "bun:test";
import { wholeLines } from "./whole-lines.ts";

test("lines come whole, however they were cut, and one without an end does not come", async () => {
  const bytes = Buffer.from("one\n\nzwei é\nthree");
  for (const size of [1, 2, 3, 7, 100]) {
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    };
    expect(await Array.fromAsync(wholeLines(pieces()))).toEqual(["one", "", "zwei é"]);
  }
});
