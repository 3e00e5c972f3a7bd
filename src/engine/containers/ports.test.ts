import { expect, test } from "bun:test";
import { parsePortKeys, planPublications, portMap } from "./ports.ts";

test("ports, ranges and protocols", () => {
  expect(parsePortKeys("80")).toEqual([{ port: 80, protocol: "tcp" }]);
  expect(parsePortKeys("8000-8002/UDP").map(({ port }) => port)).toEqual([8000, 8001, 8002]);
  for (const bad of ["", "0", "70000", "9-8", "x/tcp", "80/"]) expect(() => parsePortKeys(bad)).toThrow();
  expect(() => parsePortKeys("80/icmp")).toThrow("invalid proto: icmp");
});

test("bindings become publications: fixed, ranges and ephemeral", () => {
  const host = {
    PortBindings: {
      "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }, { HostPort: "" }],
      "53/udp": [{ HostPort: "5300-5310" }],
    },
  };
  expect(planPublications({}, host, "10.0.0.1")).toEqual([
    { protocol: "tcp", containerPort: 80, hostIp: "127.0.0.1", hostPort: 8080 },
    { protocol: "tcp", containerPort: 80, hostIp: "10.0.0.1" },
    { protocol: "udp", containerPort: 53, hostIp: "10.0.0.1", hostPort: 5300, hostPortEnd: 5310 },
  ]);
  expect(() => planPublications({}, { PortBindings: { "80/tcp": [{ HostIp: "localhost" }] } }, "")).toThrow(
    "invalid IP address: localhost",
  );
});

test("--publish-all takes the exposed ports that have no binding of their own", () => {
  const config = { ExposedPorts: { "80/tcp": {}, "81/tcp": {} } };
  const host = { PublishAllPorts: true, PortBindings: { "80/tcp": [{ HostPort: "8080" }] } };
  expect(planPublications(config, host, "").map((one) => [one.containerPort, one.hostPort])).toEqual([
    [80, 8080],
    [81, undefined],
  ]);
});

test("the port map shows exposed ports as null and both families of an unbound one", () => {
  const endpoint = {
    ports: [{ protocol: "tcp" as const, containerPort: 80, hostIp: "", hostPort: 32768 }],
  } as never;
  expect(portMap({ ExposedPorts: { "80/tcp": {}, "90/tcp": {} } }, {}, [endpoint])).toEqual({
    "80/tcp": [
      { HostIp: "0.0.0.0", HostPort: "32768" },
      { HostIp: "::", HostPort: "32768" },
    ],
    "90/tcp": null,
  });
});
