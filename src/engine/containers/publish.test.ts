import { expect, test } from "bun:test";
import { changePortBindings, parsePublish } from "./publish.ts";

test("a publication reads as -p does", () => {
  expect(parsePublish("80")).toEqual({ key: "80/tcp", hostIp: "", hostPort: "" });
  expect(parsePublish("8080:80/udp")).toEqual({ key: "80/udp", hostIp: "", hostPort: "8080" });
  expect(parsePublish("127.0.0.1::80")).toEqual({ key: "80/tcp", hostIp: "127.0.0.1", hostPort: "" });
  expect(parsePublish("[::1]:81:80")).toEqual({ key: "80/tcp", hostIp: "::1", hostPort: "81" });
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
