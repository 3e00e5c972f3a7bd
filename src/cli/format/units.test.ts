import { describe, expect, test } from "bun:test";
import { humanDuration } from "../../base/lib/human-duration.ts";
import { binarySize, humanSize, parseDuration, parseSize } from "./units.ts";

describe("sizes", () => {
  test("are shown in powers of 1000 with as many digits as asked for", () => {
    expect([0, 999, 1000, 1984132, 5_958_000, 123456789012].map((n) => humanSize(n))).toEqual([
      "0B",
      "999B",
      "1kB",
      "1.984MB",
      "5.958MB",
      "123.5GB",
    ]);
    expect(humanSize(1984132, 3)).toBe("1.98MB");
    expect(humanSize(1883, 3)).toBe("1.88kB");
    expect(humanSize(999_999, 3)).toBe("1e+03kB"); // Go's %.3g rounds so
  });
  test("are shown in powers of 1024", () => {
    expect([512_000, 25275781120, 1023].map(binarySize)).toEqual(["500KiB", "23.54GiB", "1023B"]);
  });
  test("are read with every suffix", () => {
    expect(["64m", "1.5g", "128MB", "2KiB", "5", "7b", "1 k"].map((text) => parseSize(text))).toEqual([
      67108864, 1610612736, 134217728, 2048, 5, 7, 1024,
    ]);
    expect(parseSize("1k", 1000)).toBe(1000);
  });
  test.each([
    ["x", "invalid size: 'x'"],
    ["", "invalid size: ''"],
    ["-5", "invalid size: '-5'"],
    ["5x", "invalid suffix: 'x'"],
    ["5zb", "invalid suffix: 'zb'"],
    ["5kk", "invalid suffix: 'kk'"],
  ])("%p is refused", (text, message) => {
    expect(() => parseSize(text)).toThrow(message);
  });
});

describe("durations", () => {
  const s = 1000;
  const h = 3600 * s;
  test.each([
    [0, "Less than a second"],
    [1 * s, "1 second"],
    [59 * s, "59 seconds"],
    [60 * s, "About a minute"],
    [120 * s, "2 minutes"],
    [h, "About an hour"],
    [1.6 * h, "2 hours"],
    [47 * h, "47 hours"],
    [48 * h, "2 days"],
    [14 * 24 * h, "2 weeks"],
    [60 * 24 * h, "2 months"],
    [2 * 365 * 24 * h, "2 years"],
  ])("%p ms reads %p", (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
  test("are read as Go does", () => {
    expect([
      parseDuration("1h30m"),
      parseDuration("-1.5s"),
      parseDuration("300ms"),
      parseDuration("0"),
    ]).toEqual([5.4e12, -1.5e9, 3e8, 0]);
    expect(() => parseDuration("5")).toThrow('time: missing unit in duration "5"');
    expect(() => parseDuration("xs")).toThrow('time: invalid duration "xs"');
    expect(() => parseDuration("5q")).toThrow('time: unknown unit "q" in duration "5q"');
  });
});
