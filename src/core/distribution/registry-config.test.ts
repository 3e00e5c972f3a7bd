import { describe, expect, test } from "bun:test";
import { parseMirror } from "./endpoints/endpoints.ts";
import { isInsecure, proxyFor, proxyFromEnvironment } from "./registry-config.ts";
import { testConfig } from "./testdata/fake-registry.ts";

describe("insecure registries", () => {
  const addresses: Readonly<Record<string, readonly string[]>> = {
    "in.test": ["10.1.2.3"],
    "out.test": ["192.0.2.1"],
    "loop.test": ["127.0.0.5"],
  };
  const lookup = async (host: string) => addresses[host] ?? [];
  const config = testConfig({
    insecureRegistries: ["10.0.0.0/8", "named.test:5000", "http://url.test/", "2001:db8::/32"],
  });
  const insecure = (authority: string) => isInsecure(authority, config, lookup);

  test("are those listed by name with their port, or by an address in a listed range", async () => {
    expect(await insecure("named.test:5000")).toBe(true);
    expect(await insecure("named.test")).toBe(false);
    expect(await insecure("url.test")).toBe(true);
    expect(await insecure("in.test:443")).toBe(true);
    expect(await insecure("10.9.8.7:5000")).toBe(true);
    expect(await insecure("[2001:db8::1]:5000")).toBe(true);
    expect(await insecure("out.test")).toBe(false);
    expect(await insecure("unknown.test")).toBe(false);
  });

  test("include loopback always, and Docker Hub never", async () => {
    for (const each of [
      "localhost",
      "localhost:5000",
      "127.0.0.1:5000",
      "127.9.9.9",
      "[::1]:5000",
      "loop.test",
    ]) {
      expect(await insecure(each)).toBe(true);
    }
    expect(
      await isInsecure("docker.io", testConfig({ insecureRegistries: ["docker.io", "0.0.0.0/0"] }), lookup),
    ).toBe(false);
  });
});

describe("proxies", () => {
  const proxy = {
    http: "http://proxy.test:3128",
    https: "proxy.test:3129",
    no: "exact.test, .below.test,*.star.test,10.0.0.0/8,192.0.2.1,port.test:8080",
  };
  const of = (url: string) => proxyFor(new URL(url), proxy);

  test("are chosen by scheme", () => {
    expect(of("http://a.test/")).toBe("http://proxy.test:3128");
    expect(of("https://a.test/")).toBe("http://proxy.test:3129");
    expect(proxyFor(new URL("https://a.test/"), {})).toBe(false);
  });

  test("are not used for loopback and what NO_PROXY names", () => {
    const direct = [
      "http://localhost:5000",
      "https://127.0.0.1",
      "http://[::1]:80",
      "https://exact.test",
      "https://www.exact.test",
    ];
    direct.push(
      "https://x.below.test",
      "https://x.star.test",
      "http://10.2.3.4:5000",
      "http://192.0.2.1",
      "http://port.test:8080",
    );
    for (const each of direct) expect([each, of(each)]).toEqual([each, false]);
    const proxied = [
      "https://inexact.test",
      "https://below.test",
      "http://11.2.3.4",
      "http://port.test",
      "http://192.0.2.10",
    ];
    for (const each of proxied) expect([each, of(each) !== false]).toEqual([each, true]);
    expect(proxyFor(new URL("http://a.test"), { ...proxy, no: "*" })).toBe(false);
  });

  test("come from either spelling of the variables", () => {
    expect(proxyFromEnvironment({ https_proxy: "a", HTTP_PROXY: "b", no_proxy: "c" })).toEqual({
      https: "a",
      http: "b",
      no: "c",
    });
  });
});

test("mirrors are URLs of a host, with dockerd's complaints otherwise", () => {
  expect(parseMirror("https://mirror.test:5000/").host).toBe("mirror.test:5000");
  expect(() => parseMirror("mirror")).toThrow("is not a valid URI");
  expect(() => parseMirror("ftp://mirror.test")).toThrow('unsupported scheme "ftp"');
  expect(() => parseMirror("https://u:p@mirror.test")).toThrow("username/password not allowed");
  expect(() => parseMirror("https://mirror.test/?q")).toThrow("unsupported path, query, or fragment");
});
