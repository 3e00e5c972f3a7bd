import { describe, expect, test } from "bun:test";
import type { Network, PortPublication } from "../network.ts";
import { bridgeNetwork } from "../testdata/networks.ts";
import { changeCommands, noElements, publishElements, removeCommands, rulesetCommands } from "./firewall.ts";

const network = (
  name: string,
  subnets: readonly (readonly [string, string])[],
  more: Partial<Network> = {},
): Network =>
  bridgeNetwork(
    name,
    subnets.map(([subnet, gateway]) => ({ subnet, gateway })),
    more,
  );
const web = network("web", [
  ["10.1.0.0/24", "10.1.0.1"],
  ["fd00:1::/64", "fd00:1::1"],
]);
const option = (name: string, value: string) => ({
  options: { [`com.docker.network.bridge.${name}`]: value },
});
const tcp = (hostPort: number, containerPort = hostPort, hostIp = "0.0.0.0"): PortPublication => ({
  protocol: "tcp",
  hostPort,
  containerPort,
  hostIp,
});
const keys = (ports: readonly PortPublication[], on = web) =>
  [...publishElements({ network: on, ipv4: "10.1.0.2", ipv6: "fd00:1::2", ports }).values()].map(
    ({ map, key, value }) => `${map} ${key} -> ${value}`,
  );

test("every kind of network makes rules that nft accepts, again and again", () => {
  const networks = [
    web,
    network("inner", [["10.2.0.0/24", "10.2.0.1"]], { internal: true }),
    network("apart", [["10.3.0.0/24", "10.3.0.1"]], option("enable_icc", "false")),
    network("plain", [["10.4.0.0/24", "10.4.0.1"]], option("enable_ip_masquerade", "false")),
    network("routed", [["10.5.0.0/24", "10.5.0.1"]], option("gateway_mode_ipv4", "routed")),
    network("open", [["10.6.0.0/24", "10.6.0.1"]], option("gateway_mode_ipv4", "nat-unprotected")),
  ];
  const elements = publishElements({
    network: web,
    ipv4: "10.1.0.2",
    ipv6: "fd00:1::2",
    ports: [
      tcp(80),
      tcp(81, 82, "127.0.0.1"),
      tcp(80, 80, "::"),
      tcp(81, 80, "2001:db8::1"),
      ...[1, 2, 3, 4].map((i) => tcp(9000 + i)),
    ],
  });
  const script =
    rulesetCommands("tug-test", networks) +
    changeCommands("tug-test", noElements, elements) +
    rulesetCommands("tug-test", []) +
    changeCommands("tug-test", elements, noElements) +
    removeCommands("tug-test");
  const result = Bun.spawnSync(["unshare", "-n", "nft", "-f", "-"], { stdin: Buffer.from(script) });
  expect(result.stderr.toString()).toBe("");
});

describe("published ports", () => {
  test("of any address, of one address, and of either family go to their maps", () => {
    expect(
      keys([tcp(8080, 80), tcp(8080, 80, "::"), tcp(81, 80, "127.0.0.1"), tcp(82, 80, "2001:db8::1")]),
    ).toEqual([
      "any4 tcp . 8080 -> 10.1.0.2 . 80",
      "publish4 tcp . 127.0.0.1 . 81 -> 10.1.0.2 . 80",
      "any6 tcp . 8080 -> fd00:1::2 . 80",
      "publish6 tcp . 2001:db8::1 . 82 -> fd00:1::2 . 80",
    ]);
  });

  test("that run on become one interval, others stay single", () => {
    const range = Array.from({ length: 1000 }, (_, i) => tcp(9000 + i));
    expect(keys([...range, tcp(80, 8000), tcp(81, 8001)])).toEqual([
      "any4 tcp . 80 -> 10.1.0.2 . 8000",
      "any4 tcp . 81 -> 10.1.0.2 . 8001",
      "range4 tcp . 0.0.0.0/0 . 9000-9999 -> 10.1.0.2",
    ]);
  });

  test("of internal networks do not exist, of routed ones are opened instead", () => {
    expect(keys([tcp(80)], { ...web, internal: true })).toEqual([]);
    expect(keys([tcp(8080, 80)], { ...web, ...option("gateway_mode_ipv4", "routed") })).toEqual([
      "open4 tcp . 10.1.0.2 . 80 -> ",
    ]);
  });

  test("that change touch only what differs", () => {
    const before = publishElements({ network: web, ipv4: "10.1.0.2", ipv6: "", ports: [tcp(80), tcp(81)] });
    const after = publishElements({ network: web, ipv4: "10.1.0.2", ipv6: "", ports: [tcp(81), tcp(82)] });
    expect(changeCommands("t", before, after)).toBe(
      "delete element inet t any4 { tcp . 80 }\nadd element inet t any4 { tcp . 82 : 10.1.0.2 . 82 }\n",
    );
    expect(changeCommands("t", after, after)).toBe("");
  });
});
