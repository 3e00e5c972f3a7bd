import { describe, expect, test } from "bun:test";
import type { PortPublication } from "./network.ts";
import { type PortPlanInput, planPorts, type TakenPort } from "./ports.ts";

const tcp = (
  containerPort: number,
  hostPort?: number,
  more: Partial<PortPublication> = {},
): PortPublication => ({
  protocol: "tcp",
  containerPort,
  hostIp: "",
  ...(hostPort === undefined ? {} : { hostPort }),
  ...more,
});
const plan = (requested: readonly PortPublication[], more: Partial<PortPlanInput> = {}) =>
  planPorts({
    requested,
    ipv4: true,
    ipv6: false,
    defaultHostIp: "0.0.0.0",
    taken: [],
    kept: [],
    probe: () => undefined,
    endpoint: "web (id)",
    ...more,
  }).ports.map((port) => `${port.hostIp} ${port.hostPort}->${port.containerPort}/${port.protocol}`);
const taken = (hostIp: string, hostPort: number): TakenPort => ({ protocol: "tcp", hostIp, hostPort });

describe("a publication without an address", () => {
  test("takes every family the container has", () => {
    expect(plan([tcp(80, 8080)])).toEqual(["0.0.0.0 8080->80/tcp"]);
    expect(plan([tcp(80, 8080)], { ipv6: true })).toEqual(["0.0.0.0 8080->80/tcp", ":: 8080->80/tcp"]);
    expect(plan([tcp(80, 8080)], { ipv4: false, ipv6: true })).toEqual([":: 8080->80/tcp"]);
  });

  test("takes the daemon's default address, which has one family", () => {
    expect(plan([tcp(80, 8080)], { defaultHostIp: "127.0.0.1", ipv6: true })).toEqual([
      "127.0.0.1 8080->80/tcp",
    ]);
  });
});

test("addresses are brought into one form, and wrong ones refused", () => {
  const ipv6 = { ipv6: true };
  expect(plan([tcp(80, 8080, { hostIp: "[2001:DB8:0::1]" })], ipv6)).toEqual(["2001:db8::1 8080->80/tcp"]);
  expect(plan([tcp(80, 8080, { hostIp: "0:0::0" })], ipv6)).toEqual([":: 8080->80/tcp"]);
  expect(plan([tcp(80, 8080, { hostIp: "::1" })])).toEqual([]);
  // Nothing is published on the loopback address of IPv6: nothing is shown.
  expect(plan([tcp(80, 8080, { hostIp: "::1" })], ipv6)).toEqual([]);
  expect(() => plan([tcp(80, 8080, { hostIp: "localhost" })])).toThrow("invalid IP address: localhost");
});

test("ports clash by family, by address or with any address, and by protocol", () => {
  const clash = (one: TakenPort, hostIp: string) => () =>
    plan([tcp(80, 80, { hostIp })], { ipv6: true, taken: [one] });
  expect(clash(taken("0.0.0.0", 80), "127.0.0.1")).toThrow(
    "Bind for 127.0.0.1:80 failed: port is already allocated",
  );
  expect(clash(taken("127.0.0.1", 80), "0.0.0.0")).toThrow("Bind for 0.0.0.0:80 failed");
  expect(clash(taken("127.0.0.1", 80), "127.0.0.2")()).toHaveLength(1);
  expect(clash(taken("::", 80), "0.0.0.0")()).toHaveLength(1);
  expect(clash({ ...taken("0.0.0.0", 80), protocol: "udp" }, "0.0.0.0")()).toHaveLength(1);
  expect(() => plan([tcp(80, 80), tcp(81, 80)])).toThrow("port is already allocated");
});

test("ephemeral ports go on from the last, round the range, past what is taken or in use, and after fixed ones", () => {
  expect(plan([tcp(1), tcp(2, 32768)])).toEqual(["0.0.0.0 32768->2/tcp", "0.0.0.0 32769->1/tcp"]);
  expect(plan([tcp(1), tcp(2)], { ephemeralStart: 60999 })).toEqual([
    "0.0.0.0 60999->1/tcp",
    "0.0.0.0 32768->2/tcp",
  ]);
  const busy = new Set([32768, 32770]);
  const probe = (_: string, __: string, port: number) =>
    busy.has(port) ? "address already in use" : undefined;
  expect(plan([tcp(1), tcp(2)], { probe, taken: [taken("10.0.0.1", 32769)] })).toEqual([
    "0.0.0.0 32771->1/tcp",
    "0.0.0.0 32772->2/tcp",
  ]);
});

test("a range gives its first free port, and says so when there is none", () => {
  const range = tcp(80, 8000, { hostPortEnd: 8001 });
  expect(plan([range, range])).toEqual(["0.0.0.0 8000->80/tcp", "0.0.0.0 8001->80/tcp"]);
  expect(() => plan([range, range, range])).toThrow("Bind for 0.0.0.0:8000 failed: all ports are allocated");
});
