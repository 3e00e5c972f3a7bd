import { expect, test } from "bun:test";
import {
  formatRfc3339Nano,
  parseDuration,
  parseRfc3339,
  parseTimestamp,
  parseUnixTime,
} from "./timestamp.ts";

test("durations are read as Go reads them", () => {
  expect(parseDuration("1h30m")).toBe(5_400_000_000_000n);
  expect(parseDuration("1.5s")).toBe(1_500_000_000n);
  expect(parseDuration("-10ms")).toBe(-10_000_000n);
  expect(parseDuration("0")).toBe(0n);
  for (const bad of ["", "10", "h", "1x", "1h ", "."]) expect(parseDuration(bad)).toBeUndefined();
});

test("Unix seconds keep every nanosecond", () => {
  expect(parseUnixTime("1700000000.123456789")).toBe(1_700_000_000_123_456_789n);
  expect(parseUnixTime("5")).toBe(5_000_000_000n);
  expect(parseUnixTime("0x5")).toBeUndefined();
});

test("RFC 3339 is read with zone, fraction, and in its short forms", () => {
  expect(parseRfc3339("1970-01-01T00:00:01.000000001Z")).toBe(1_000_000_001n);
  expect(parseRfc3339("1970-01-01T01:00:00+01:00")).toBe(0n);
  expect(parseRfc3339("2024-02-30")).toBeUndefined();
  expect(parseRfc3339("2024-02-29T10:11")).toBe(BigInt(new Date(2024, 1, 29, 10, 11).getTime()) * 1_000_000n);
});

test("a timestamp may be a duration back from now", () => {
  expect(parseTimestamp("10s", 20_000)).toBe(10_000_000_000n);
  expect(parseTimestamp("17", 0)).toBe(17_000_000_000n);
  expect(parseTimestamp("yesterday", 0)).toBeUndefined();
});

test("nanoseconds print as RFC3339Nano", () => {
  expect(formatRfc3339Nano(1_000_000_010n)).toBe("1970-01-01T00:00:01.00000001Z");
  expect(formatRfc3339Nano(0n)).toBe("1970-01-01T00:00:00Z");
});
