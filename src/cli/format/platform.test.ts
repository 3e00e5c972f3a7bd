import { expect, test } from "bun:test";
import { parsePlatform, platformJson, platformParameter } from "./platform.ts";

test.each([
  ["linux/amd64", { architecture: "amd64", os: "linux" }],
  ["Linux/X86_64", { architecture: "amd64", os: "linux" }],
  ["linux/amd64/v1", { architecture: "amd64", os: "linux" }],
  ["linux/amd64/v2", { architecture: "amd64", os: "linux", variant: "v2" }],
  ["linux/arm64/v8", { architecture: "arm64", os: "linux" }],
  ["aarch64", { architecture: "arm64", os: "linux" }],
  ["arm", { architecture: "arm", os: "linux", variant: "v7" }],
  ["linux/arm/6", { architecture: "arm", os: "linux", variant: "v6" }],
  ["armel", { architecture: "arm", os: "linux", variant: "v6" }],
  ["macos/arm64", { architecture: "arm64", os: "darwin" }],
  ["windows(10.0.17763)/amd64", { architecture: "amd64", os: "windows", "os.version": "10.0.17763" }],
  ["bogus/x", { architecture: "x", os: "bogus" }],
] as const)("%s is read under the names that registries use", (text, platform) => {
  expect(parsePlatform(text)).toEqual(platform);
});

test("a system alone means this machine's architecture", () => {
  expect(parsePlatform("linux")).toMatchObject({
    os: "linux",
    architecture: process.arch === "x64" ? "amd64" : process.arch,
  });
});

test.each([
  ["foo", '"foo": unknown operating system or architecture: invalid argument'],
  ["a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'],
  [
    "linux/",
    '"" is an invalid component of "linux/": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument',
  ],
  [
    "li nux/x",
    '"li nux" is an invalid OS component of "li nux/x": OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$": invalid argument',
  ],
] as const)("%s is refused in Docker's words", (text, message) => {
  expect(() => parsePlatform(text)).toThrow(message);
  expect(() => platformJson(text, "invalid platform: ")).toThrow(`invalid platform: ${message}`);
});

test("an option that was not given is no parameter", () => {
  expect(platformParameter("")).toBeUndefined();
  expect(platformParameter("arm64")).toBe('{"architecture":"arm64","os":"linux"}');
});
