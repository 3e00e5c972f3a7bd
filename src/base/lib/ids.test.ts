import { expect, test } from "bun:test";
import { randomId, shortId } from "./ids.ts";

test("an id is 64 hex digits, another one each time", () => {
  const ids = Array.from({ length: 100 }, () => randomId());
  expect(ids.filter((id) => !/^[0-9a-f]{64}$/.test(id))).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});

test("what is shown of an id, and is a container's host name, is never a number", () => {
  const given = ["123456789012ab", "000000000000", "99999999999912", "12345678901a", "never asked for"];
  const id = randomId((bytes) => {
    bytes.fill(0xff);
    bytes.set(Buffer.from(given.shift() ?? "", "hex"));
  });
  expect(shortId(id)).toBe("12345678901a");
  expect(given).toEqual(["never asked for"]);
});
