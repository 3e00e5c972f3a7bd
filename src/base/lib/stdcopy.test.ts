import { expect, test } from "bun:test";
import { stdcopyHeader } from "./stdcopy.ts";

test("a header has the stream and the big-endian length", () => {
  expect([...stdcopyHeader("stderr", 0x01020304)]).toEqual([2, 0, 0, 0, 1, 2, 3, 4]);
  expect([...stdcopyHeader("stdout", 0xffffffff)]).toEqual([1, 0, 0, 0, 255, 255, 255, 255]);
});
