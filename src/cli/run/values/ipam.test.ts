import { expect, test } from "bun:test";
import { ipamConfig } from "./ipam.ts";

test("ranges, gateways and reserved addresses go to the subnets they lie in", () => {
  expect(
    ipamConfig(["10.1.0.0/16", "fd00:1::/64"], ["10.1.4.0/24"], ["fd00:1::1", "10.1.0.1"], {
      router: "10.1.0.9",
      printer: "10.1.0.8",
      six: "fd00:1::9",
    }),
  ).toEqual([
    {
      Subnet: "10.1.0.0/16",
      IPRange: "10.1.4.0/24",
      Gateway: "10.1.0.1",
      AuxiliaryAddresses: { router: "10.1.0.9", printer: "10.1.0.8" },
    },
    { Subnet: "fd00:1::/64", Gateway: "fd00:1::1", AuxiliaryAddresses: { six: "fd00:1::9" } },
  ]);
});

test("without a subnet there is nothing to configure", () => {
  expect(ipamConfig([], [], [], {})).toEqual([]);
});

test.each([
  [[], [], ["10.1.1.1"], {}, "every ip-range or gateway must have a corresponding subnet"],
  [["10.1.0.0/16", "10.1.2.0/24"], [], [], {}, "multiple overlapping subnet configuration is not supported"],
  [["10.1.0.0/16"], [], ["10.2.0.1"], {}, "no matching subnet for gateway 10.2.0.1"],
  [["10.1.0.0/16"], [], ["bogus"], {}, "no matching subnet for gateway bogus"],
  [["10.1.0.0/16"], ["10.2.0.0/24"], [], {}, "no matching subnet for range 10.2.0.0/24"],
  [["10.1.0.0/16"], ["10.1.3.4"], [], {}, "invalid CIDR address: 10.1.3.4"],
  [["10.1.0.0/16"], [], [], { a: "" }, "no matching subnet for aux-address "],
  [["10.1.0.0/16", "10.3.0.0/33"], [], [], {}, "invalid subnet: invalid CIDR address: 10.3.0.0/33"],
  [
    ["10.1.0.0/16", "10.5.0.0/16"],
    ["10.1.0.0/24", "10.1.2.0/24"],
    [],
    {},
    "cannot configure multiple ranges (10.1.2.0/24, 10.1.0.0/24) on the same subnet (10.1.0.0/16)",
  ],
  [
    ["10.1.0.0/16", "10.5.0.0/16"],
    [],
    ["10.1.0.1", "10.1.0.2"],
    {},
    "cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/16)",
  ],
] as const)(
  "addresses that do not fit are refused in Docker's words: %j %j %j",
  (subnets, ranges, gateways, auxiliary, message) => {
    expect(() => ipamConfig(subnets, ranges, gateways, auxiliary)).toThrow(message);
  },
);
