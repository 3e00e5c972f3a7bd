import { expect, test } from "bun:test";
import { attributePairs, attributesText } from "./attributes.ts";

test("attributes of any name and value are one text, the same in whatever order they come", () => {
  const pairs = [
    ["user.plain", Buffer.from("value")],
    ["user.a=b,c%3D%", Buffer.from([0, 255])],
    ["user.", Buffer.alloc(0)],
    ["security.capability", Buffer.from([1, 0, 0, 2])],
  ] as const;
  const text = attributesText(pairs);
  expect(text).toBe("security.capability=01000002,user.=,user.a%3Db%2Cc%253D%25=00ff,user.plain=76616c7565");
  expect(attributesText(pairs.toReversed())).toBe(text);
  expect(Object.fromEntries(attributePairs(text))).toEqual(Object.fromEntries(pairs));
  expect(attributePairs(attributesText([]))).toEqual([]);
});
