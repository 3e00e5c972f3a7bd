import { expect, test } from "bun:test";
import {
  contains,
  formatIp,
  formatPrefix,
  ipBytes,
  ipFromBytes,
  lastOf,
  networkOf,
  overlaps,
  parseIp,
  parsePrefix,
} from "./ip.ts";

const text = (address: string) => {
  const parsed = parseIp(address);
  return parsed && formatIp(parsed);
};

test("IPv6 text is shortened as RFC 5952 says", () => {
  expect(text("2001:DB8:0:0:1:0:0:1")).toBe("2001:db8::1:0:0:1");
  expect(text("0:0:0:0:0:0:0:0")).toBe("::");
  expect(text("::1")).toBe("::1");
  expect(text("fe80::")).toBe("fe80::");
  expect(text("1:0:2:3:4:5:6:7")).toBe("1:0:2:3:4:5:6:7");
  expect(text("::ffff:10.0.0.1")).toBe("::ffff:a00:1");
});

test("what is no address is refused", () => {
  for (const bad of [
    "",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4.5",
    ":::",
    "1::2::3",
    "12345::",
    "fe80::1%eth0",
    "1:2:3:4:5:6:7:8:9",
  ]) {
    expect(parseIp(bad)).toBeUndefined();
  }
  for (const bad of ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1"]) {
    expect(parsePrefix(bad)).toBeUndefined();
  }
});

test("prefixes know their ends, members and overlaps", () => {
  const prefix = parsePrefix("10.1.2.3/16");
  const inner = parsePrefix("10.1.128.0/17");
  const other = parsePrefix("10.2.0.0/16");
  if (!prefix || !inner || !other) throw new Error("unparsed");
  expect(formatPrefix(networkOf(prefix))).toBe("10.1.0.0/16");
  expect(formatIp(lastOf(prefix))).toBe("10.1.255.255");
  expect(contains(prefix, inner)).toBe(true);
  expect(overlaps(prefix, inner)).toBe(true);
  expect(overlaps(inner, prefix)).toBe(true);
  expect(overlaps(prefix, other)).toBe(false);
  expect(formatIp(ipFromBytes(ipBytes(prefix)))).toBe("10.1.2.3");
});
