import { expect, test } from "bun:test";
import { portWarnings } from "./ports.ts";
import { changePortBindings, parsePublish } from "./publish.ts";

test("a publication reads as -p does", () => {
  expect(parsePublish("80")).toEqual([{ key: "80/tcp", hostIp: "", hostPort: "" }]);
  expect(parsePublish("8080:80/udp")).toEqual([{ key: "80/udp", hostIp: "", hostPort: "8080" }]);
  expect(parsePublish("127.0.0.1::80")).toEqual([{ key: "80/tcp", hostIp: "127.0.0.1", hostPort: "" }]);
  expect(parsePublish("[::1]:81:80")).toEqual([{ key: "80/tcp", hostIp: "::1", hostPort: "81" }]);
  expect(parsePublish("8000-8009:80")).toEqual([{ key: "80/tcp", hostIp: "", hostPort: "8000-8009" }]);
  expect(parsePublish("8000-8001:80-81/udp")).toEqual([
    { key: "80/udp", hostIp: "", hostPort: "8000" },
    { key: "81/udp", hostIp: "", hostPort: "8001" },
  ]);
  expect(() => parsePublish("8000-8002:80-81")).toThrow(
    "invalid ranges specified for container and host Ports: 80-81 and 8000-8002",
  );
  expect(() => parsePublish("70000:80")).toThrow("invalid hostPort: 70000");
  for (const bad of ["", "x", "80:", "1:2:3:4", "0", "99999"])
    expect(() => parsePublish(bad)).toThrow("invalid");
});

test("ports are added and removed beside those that stay", () => {
  const before = { "80/tcp": [{ HostIp: "", HostPort: "8080" }] };
  const more = changePortBindings(before, ["81:80", "127.0.0.1:53:53/udp"], []);
  expect(more).toEqual({
    "80/tcp": [
      { HostIp: "", HostPort: "8080" },
      { HostIp: "", HostPort: "81" },
    ],
    "53/udp": [{ HostIp: "127.0.0.1", HostPort: "53" }],
  });
  expect(changePortBindings(more, [], ["8080:80", "53/udp"])).toEqual({
    "80/tcp": [{ HostIp: "", HostPort: "81" }],
  });
  expect(before).toEqual({ "80/tcp": [{ HostIp: "", HostPort: "8080" }] });
  expect(() => changePortBindings(before, ["8080:80"], [])).toThrow("published already");
  expect(() => changePortBindings(before, [], ["81:80"])).toThrow("is not published");
});

test("a lone number to remove is the container's port, or else the host's", () => {
  const before = {
    "80/tcp": [{ HostIp: "", HostPort: "8080" }],
    "8080/tcp": [{ HostIp: "", HostPort: "81" }],
    "53/udp": [{ HostIp: "", HostPort: "5353" }],
  };
  const without = (text: string) => Object.keys(changePortBindings(before, [], [text]));
  expect(without("8080")).toEqual(["80/tcp", "53/udp"]);
  expect(without("81")).toEqual(["80/tcp", "53/udp"]);
  expect(without("5353/udp")).toEqual(["80/tcp", "8080/tcp"]);
  expect(() => without("5353")).toThrow("port 5353 is not published");
});

test("what IPv6 addresses of the host cannot do is said", () => {
  const bindings = (...ips: readonly string[]) => ({
    "80/tcp": ips.map((HostIp) => ({ HostIp, HostPort: "8080" })),
  });
  expect(portWarnings(bindings("", "127.0.0.1", "0.0.0.0"), false)).toEqual([]);
  expect(portWarnings(bindings("::", "fd00::1"), true)).toEqual([]);
  expect(portWarnings(bindings("::"), false)).toEqual([
    "Port 80/tcp is not published on [::]: the container has no network with IPv6.",
  ]);
  expect(portWarnings(bindings("0:0::1", "::1"), true)).toEqual([
    "Port 80/tcp is not published on [::1]: the kernel forwards nothing from there. Use 127.0.0.1.",
  ]);
});
