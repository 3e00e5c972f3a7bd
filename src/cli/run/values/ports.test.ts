import { describe, expect, test } from "bun:test";
import { parsePorts } from "./ports.ts";

const bindings = (...values: string[]) => parsePorts(values, []).bindings;

describe("-p", () => {
  test("takes container port, host port and address in every combination", () => {
    expect(bindings("80", "8080:81", "127.0.0.1:82:82/udp", "127.0.0.1::53/udp", "[::1]:84:84")).toEqual({
      "80/tcp": [{ HostIp: "", HostPort: "" }],
      "81/tcp": [{ HostIp: "", HostPort: "8080" }],
      "82/udp": [{ HostIp: "127.0.0.1", HostPort: "82" }],
      "53/udp": [{ HostIp: "127.0.0.1", HostPort: "" }],
      "84/tcp": [{ HostIp: "::1", HostPort: "84" }],
    });
  });

  test("pairs ranges of equal length, and leaves the choice from a host range to the daemon", () => {
    expect(bindings("9000-9001:90-91")).toEqual({
      "90/tcp": [{ HostIp: "", HostPort: "9000" }],
      "91/tcp": [{ HostIp: "", HostPort: "9001" }],
    });
    expect(bindings("8000-8010:80")).toEqual({ "80/tcp": [{ HostIp: "", HostPort: "8000-8010" }] });
  });

  test("gathers several bindings of one port", () => {
    expect(bindings("80:80", "81:80")["80/tcp"]).toHaveLength(2);
  });

  test("takes the long form", () => {
    expect(bindings("target=80,published=8080,protocol=udp")).toEqual({
      "80/udp": [{ HostIp: "", HostPort: "8080" }],
    });
  });

  test.each([
    ["99999:1", "invalid hostPort: 99999"],
    ["80:x", "invalid containerPort: x"],
    ["70000", "invalid containerPort: 70000"],
    ["80:80/foo", "invalid proto: foo"],
    ["1.2.3:80:80", "invalid IP address: 1.2.3"],
    [":", "no port specified: :<empty>"],
    ["80-82:90-91", "invalid ranges specified for container and host Ports: 90-91 and 80-82"],
    ["90-80:90-80", "invalid containerPort: 90-80"],
    ["published=80", "no port specified: 80:/tcp<empty>"],
    ["target=80,mode", "invalid publish opts format (should be name=value but got 'mode')"],
  ])("%p is refused", (value, message) => {
    expect(() => bindings(value)).toThrow(message);
  });
});

test("--expose adds ports and ranges without publishing them", () => {
  expect(parsePorts([], ["80", "90-91/udp"])).toEqual({
    exposed: { "80/tcp": {}, "90/udp": {}, "91/udp": {} },
    bindings: {},
  });
  expect(() => parsePorts([], ["80:80"])).toThrow("invalid port format for --expose: 80:80");
  expect(() => parsePorts([], ["x"])).toThrow(
    "invalid range format for --expose: x, error: strconv.ParseUint",
  );
});
