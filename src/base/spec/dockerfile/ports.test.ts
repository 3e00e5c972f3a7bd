import { expect, test } from "bun:test";
import { parseExposed } from "./ports.ts";

test("Ports are single ones, ranges, and what people mistake EXPOSE for", () => {
  const fine = { oddCase: false, mapped: false };
  for (const [text, exposed] of [
    ["80", { ...fine, ports: ["80/tcp"] }],
    ["80/", { ...fine, ports: ["80/tcp"] }],
    ["0-2/sctp", { ...fine, ports: ["0/sctp", "1/sctp", "2/sctp"] }],
    ["7-7/UDP", { ...fine, ports: ["7/udp"], oddCase: true }],
    ["8080:80", { ...fine, ports: ["80/tcp"], mapped: true }],
    ["1-5:80", { ...fine, ports: ["80/tcp"], mapped: true }],
    ["127.0.0.1::80", { ...fine, ports: ["80/tcp"], mapped: true }],
    ["[::1]:1-2:3-4", { ...fine, ports: ["3/tcp", "4/tcp"], mapped: true }],
    ["::1:5:6", { ...fine, ports: ["6/tcp"], mapped: true }],
  ] as const)
    expect(parseExposed(text)).toEqual(exposed as never);
  expect(parseExposed("0-65535").ports.length).toBe(65_536);
});

test("What is no port is refused in Docker's words", () => {
  for (const [text, message] of [
    ["", 'invalid port: "": no port specified'],
    ["/tcp", 'invalid port: "/tcp": no port specified'],
    ["80/foo", 'invalid port: "80/foo": invalid proto: foo'],
    ["x", "invalid containerPort: x"],
    ["65536", "invalid containerPort: 65536"],
    ["2-1", "invalid containerPort: 2-1"],
    ["1-", "invalid containerPort: 1-"],
    ["x:80", "invalid hostPort: x"],
    ["1-2:1-3", "invalid ranges specified for container and host Ports: 1-3 and 1-2"],
    ["nohost:1:2", "invalid IP address: nohost"],
  ] as const)
    expect(() => parseExposed(text)).toThrow(message);
});
