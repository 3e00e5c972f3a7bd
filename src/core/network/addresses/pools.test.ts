import { expect, test } from "bun:test";
import { formatPrefix, parsePrefix } from "../../../base/lib/ip.ts";
import { checkOverlap, chooseSubnet, defaultAddressPools, type TakenSubnet } from "./pools.ts";

const taken = (text: string, holder = text): TakenSubnet => {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(text);
  return { prefix, holder, by: "route" };
};
const choose = (...held: readonly string[]) =>
  formatPrefix(
    chooseSubnet(
      defaultAddressPools,
      4,
      held.map((text) => taken(text)),
    ),
  );

test("networks get Docker's subnets in Docker's order", () => {
  expect(choose()).toBe("172.17.0.0/16");
  expect(choose("172.17.0.0/16")).toBe("172.18.0.0/16");
  expect(choose("172.16.0.0/12")).toBe("192.168.0.0/20");
});

test("a subnet is passed over when any part of it is held, however small or large the holder", () => {
  expect(choose("172.17.4.8/32")).toBe("172.18.0.0/16");
  expect(choose("172.16.0.0/12", "192.168.0.0/16")).toBe("10.192.0.0/24");
  expect(choose("172.16.0.0/12", "192.168.1.0/24")).toBe("192.168.16.0/20");
});

test("when all are held, the error names the holders and the way out", () => {
  expect(() =>
    chooseSubnet([{ base: "10.0.0.0/8", size: 24 }], 4, [taken("10.0.0.0/7", "the host's route on tun0")]),
  ).toThrow(/all predefined address pools have been fully subnetted.*the host's route on tun0.*--subnet/);
});

test("a huge IPv6 pool is searched in steps, not one by one", () => {
  const pools = [{ base: "fd00::/8", size: 64 }];
  expect(formatPrefix(chooseSubnet(pools, 6, [taken("fd00::/9")]))).toBe("fd80::/64");
});

test("a named subnet that clashes is refused with the name of the other", () => {
  const subnet = parsePrefix("10.1.2.0/24");
  if (!subnet) throw new Error("unparsed");
  expect(() => checkOverlap(subnet, [taken("10.1.0.0/16", 'network "web"')])).toThrow(
    'Pool overlaps with other one on this address space: 10.1.2.0/24 clashes with 10.1.0.0/16 of network "web"',
  );
});

test("a malformed pool of the configuration is refused", () => {
  for (const pool of [
    { base: "10.0.0.0", size: 24 },
    { base: "10.0.0.0/8", size: 7 },
    { base: "10.0.0.0/8", size: 33 },
  ]) {
    expect(() => chooseSubnet([pool], 4, [])).toThrow("invalid default address pool");
  }
});
