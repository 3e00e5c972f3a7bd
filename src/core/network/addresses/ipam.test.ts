import { describe, expect, test } from "bun:test";
import type { NetworkId } from "../../../base/lib/ids.ts";
import { formatIp } from "../../../base/lib/ip.ts";
import type { IpamPool, Network } from "../network.ts";
import { bridgeNetwork } from "../testdata/networks.ts";
import { chooseAddress, validatePools } from "./ipam.ts";

const network = (...config: readonly IpamPool[]): Network =>
  bridgeNetwork("net", config, { id: "0123456789ab" as NetworkId });
const choose = (net: Network, used: readonly string[] = [], wanted?: string, family: 4 | 6 = 4) =>
  formatIp(chooseAddress(net, family, new Set(used), wanted).address);

describe("the address of a new endpoint", () => {
  const plain = network({
    subnet: "10.1.0.0/29",
    gateway: "10.1.0.1",
    auxAddresses: { printer: "10.1.0.3" },
  });

  test("is the lowest that is free: not the subnet's own, the gateway's, a reserved or the broadcast one", () => {
    expect(choose(plain)).toBe("10.1.0.2");
    expect(choose(plain, ["10.1.0.2"])).toBe("10.1.0.4");
    expect(choose(plain, ["10.1.0.2", "10.1.0.4", "10.1.0.6"])).toBe("10.1.0.5");
  });

  test("does not exist when all are taken", () => {
    const used = ["10.1.0.2", "10.1.0.4", "10.1.0.5", "10.1.0.6"];
    expect(() => choose(plain, used)).toThrow(
      "no available IPv4 addresses on this network's address pools: net (0123456789ab)",
    );
  });

  test("comes from the ip-range, but may be asked for anywhere in the subnet", () => {
    const ranged = network({ subnet: "10.1.0.0/16", ipRange: "10.1.5.0/30", gateway: "10.1.0.1" });
    expect(choose(ranged)).toBe("10.1.5.0");
    expect(choose(ranged, ["10.1.5.0"])).toBe("10.1.5.1");
    expect(choose(ranged, [], "10.1.200.7")).toBe("10.1.200.7");
  });

  test("must be in the subnet and free when it is asked for", () => {
    expect(() => choose(plain, [], "10.2.0.1")).toThrow(
      "no configured subnet or ip-range contain the IP address 10.2.0.1",
    );
    for (const taken of ["10.1.0.1", "10.1.0.3", "10.1.0.7", "10.1.0.6"]) {
      expect(() => choose(plain, ["10.1.0.6"], taken)).toThrow("Address already in use");
    }
    expect(() => choose(plain, [], "::1")).toThrow("invalid IPv4 address: ::1");
  });

  test("uses both addresses of a /31 and the next pool when one is full", () => {
    const two = network(
      { subnet: "10.1.0.0/31", gateway: "10.1.0.0" },
      { subnet: "10.3.0.0/24", gateway: "10.3.0.1" },
    );
    expect(choose(two)).toBe("10.1.0.1");
    expect(choose(two, ["10.1.0.1"])).toBe("10.3.0.2");
  });

  test("exists in IPv6 too, whose last address is as good as any", () => {
    const six = network({ subnet: "fd00:1::/126", gateway: "fd00:1::1" });
    expect(choose(six, [], undefined, 6)).toBe("fd00:1::2");
    expect(choose(six, ["fd00:1::2"], undefined, 6)).toBe("fd00:1::3");
  });
});

test("what is wrong with a configuration is said all at once, as Docker words it", () => {
  const bad: readonly IpamPool[] = [
    { subnet: "10.1.0.1/16", ipRange: "10.2.0.0/24", gateway: "10.9.0.1" },
    { subnet: "nonsense" },
    { subnet: "fd00::/64", gateway: "10.0.0.1", auxAddresses: { a: "x" } },
    { subnet: "10.4.0.0/24", ipRange: "10.4.0.0/16" },
  ];
  expect(() => validatePools(bad)).toThrow(
    [
      "invalid network config:",
      "invalid subnet 10.1.0.1/16: it should be 10.1.0.0/16",
      "invalid ip-range 10.2.0.0/24: parent subnet 10.1.0.0/16 doesn't contain ip-range",
      "invalid gateway 10.9.0.1: parent subnet 10.1.0.0/16 doesn't contain this address",
      "invalid subnet nonsense: invalid CIDR block notation",
      "invalid gateway 10.0.0.1: parent subnet is an IPv6 block",
      "invalid auxiliary address x: invalid address",
      "invalid ip-range 10.4.0.0/16: CIDR block is bigger than its parent subnet 10.4.0.0/24",
    ].join("\n"),
  );
  validatePools([{}, { subnet: "10.1.0.0/16", ipRange: "10.1.5.0/24", gateway: "10.1.5.254" }]);
});
