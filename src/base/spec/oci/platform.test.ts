import { describe, expect, test } from "bun:test";
import type { Digest } from "../../lib/ids.ts";
import type { Descriptor, Platform } from "./descriptor.ts";
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
} from "./platform.ts";

const host: Platform = { os: "linux", architecture: "amd64" };
const entry = (text: string | undefined, name = text ?? "none"): Descriptor => ({
  mediaType: "m",
  size: 1,
  digest: `sha256:${Buffer.from(name).toString("hex").padEnd(64, "0")}` as Digest,
  ...(text && { platform: parsePlatform(text, host) }),
});
const chosen = (offers: (string | undefined)[], wanted: string) => {
  const entries = offers.map((each) => entry(each));
  const found = choosePlatform(entries, parsePlatform(wanted, host));
  return found && offers[entries.indexOf(found)];
};

describe("platforms", () => {
  test("spellings are made one", () => {
    expect(normalizePlatform({ os: "Linux", architecture: "x86_64" })).toEqual({
      os: "linux",
      architecture: "amd64",
    });
    expect(formatPlatform(parsePlatform("linux/aarch64/v8", host))).toBe("linux/arm64");
    expect(formatPlatform(parsePlatform("linux/arm", host))).toBe("linux/arm/v7");
    expect(formatPlatform(parsePlatform("linux/armel", host))).toBe("linux/arm/v6");
    expect(formatPlatform(parsePlatform("arm64", host))).toBe("linux/arm64");
    expect(formatPlatform(parsePlatform("linux", host))).toBe("linux/amd64");
    expect(hostPlatform("x64")).toEqual(host);
    expect(hostPlatform("arm64")).toEqual({ os: "linux", architecture: "arm64" });
  });

  test("nonsense is refused", () => {
    for (const bad of ["", "/", "linux/", "a/b/c/d", "linux/am d64", "linux/a:b", "nonsense"]) {
      expect(() => parsePlatform(bad, host)).toThrow("invalid argument");
    }
  });

  test("an exact entry wins over a compatible one, whatever the order", () => {
    expect(chosen(["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v7")).toBe("linux/arm/v7");
    expect(chosen(["linux/386", "linux/amd64"], "linux/amd64")).toBe("linux/amd64");
  });

  test("the best lower variant is taken when the exact one is absent", () => {
    expect(chosen(["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7")).toBe("linux/arm/v6");
    expect(chosen(["linux/arm/v7"], "linux/arm/v6")).toBeUndefined();
    expect(chosen(["linux/arm/v6", "linux/arm/v7"], "linux/arm64")).toBe("linux/arm/v7");
    expect(chosen(["linux/amd64/v3", "linux/amd64/v2"], "linux/amd64")).toBeUndefined();
    expect(chosen(["linux/amd64", "linux/amd64/v3"], "linux/amd64/v4")).toBe("linux/amd64/v3");
    expect(chosen(["linux/386"], "linux/amd64")).toBe("linux/386");
  });

  test("another system or architecture is never taken", () => {
    expect(chosen(["windows/amd64", "linux/s390x", "unknown/unknown"], "linux/amd64")).toBeUndefined();
    expect(chosen([undefined, "linux/s390x"], "linux/amd64")).toBeUndefined();
    expect(chosen([], "linux/amd64")).toBeUndefined();
  });

  test("entries that name no platform serve when none does", () => {
    expect(choosePlatform([entry(undefined, "a"), entry(undefined, "b")], host)?.digest).toBe(
      entry(undefined, "a").digest,
    );
  });
});
