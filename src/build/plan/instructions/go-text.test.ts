import { expect, test } from "bun:test";
import { quotedList } from "./go-text.ts";

test("what Go would not print is told by number, everything else as it is", () => {
  expect(quotedList(["a b", 'say "é日"', "\\u0001"])).toBe('["a b" "say \\"é日\\"" "\\\\u0001"]');
  expect(quotedList(["\x00\x07\x7f\t", "a\u00a0b\u2028", "\u{e0001}\u{1f600}"])).toBe(
    '["\\x00\\a\\x7f\\t" "a\\u00a0b\\u2028" "\\U000e0001\u{1f600}"]',
  );
});
