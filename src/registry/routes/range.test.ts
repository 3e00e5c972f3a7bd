import { expect, test } from "bun:test";
import { parseRange } from "./range.ts";

test("ranges of RFC 9110, 14.1.2, against a body of ten bytes", () => {
  const table: readonly [string | undefined, ReturnType<typeof parseRange>][] = [
    [undefined, undefined],
    ["bytes=0-0", { start: 0, end: 1 }],
    ["bytes=0-", { start: 0, end: 10 }],
    ["bytes=3-99", { start: 3, end: 10 }],
    ["bytes=-4", { start: 6, end: 10 }],
    ["bytes=-40", { start: 0, end: 10 }],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=10-", "unsatisfiable"],
    ["bytes=5-4", "unsatisfiable"],
    ["bytes=10-9", "unsatisfiable"],
    ["bytes=-", undefined],
    ["bytes=0-1,3-4", undefined],
    ["bytes=0x1-2", undefined],
    ["lines=0-1", undefined],
    [`bytes=${"9".repeat(16)}-`, undefined],
  ];
  for (const [header, range] of table) expect([header, parseRange(header, 10)]).toEqual([header, range]);
  expect(parseRange("bytes=-5", 0)).toBe("unsatisfiable");
});
