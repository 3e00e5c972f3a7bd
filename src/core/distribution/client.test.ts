import { describe, expect, test } from "bun:test";
import { parseReference } from "../../base/spec/docker/reference.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { failed, setUp } from "./testdata/client-bench.ts";
import { FakeRegistry } from "./testdata/fake-registry.ts";

describe("reaching registries", () => {
  test("nobody there is said in dockerd's words", async () => {
    await using at = setUp();
    expect(await failed(at.client.resolve(parseReference("localhost:1/x:y"), {}))).toEqual({
      code: "unavailable",
      message:
        'Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused (nothing listens there: check the port, and that the registry runs)',
    });
  });

  test("a broken mirror is passed over for the next one", async () => {
    using bad = new FakeRegistry();
    using good = new FakeRegistry();
    bad.intercept = () => new Response("", { status: 500 });
    good.addImage("library/busybox", "1", ["layer"]);
    await using at = setUp({ mirrors: ["http://127.0.0.1:1", bad.origin, `${good.origin}/`] });
    const image = await at.client.resolve(parseReference("busybox:1"), {});
    // It may also serve wrong bytes.
    bad.intercept = (_, url) => (url.pathname === "/v2/" ? undefined : new Response("wrong"));
    for (const layer of image.layers) await at.client.fetch(parseReference("busybox"), layer, {});
    expect(at.content.stat(image.layers[0]?.digest ?? digestOf(""))).toBeDefined();
  });

  test("an insecure registry is asked for TLS first and remembered to have none", async () => {
    await using at = setUp();
    at.registry.addImage("app", "1", ["a", "b", "c"]);
    const image = await at.client.resolve(at.registry.ref("app:1"), {});
    for (const layer of image.layers) await at.client.fetch(at.registry.ref("app:1"), layer, {});
    expect(at.registry.lines(/ \/v2\/$/)).toHaveLength(1);
  });

  test("requests go through the proxy, but never for loopback", async () => {
    using proxy = new FakeRegistry();
    proxy.addImage("app", "1", ["a"]);
    await using at = setUp({
      proxy: { http: proxy.origin, https: "http://127.0.0.1:1" },
      insecureRegistries: ["registry.test:5000"],
    });
    const image = await at.client.resolve(parseReference("registry.test:5000/app:1"), {});
    expect(image.layers).toHaveLength(1);
    at.registry.addImage("app", "1", ["direct"]);
    await at.client.resolve(at.registry.ref("app:1"), {});
    expect(at.registry.requests.length).toBeGreaterThan(0);
    expect(await failed(at.client.resolve(parseReference("secure.test/app:1"), {}))).toEqual({
      code: "unavailable",
      message:
        'Get "https://secure.test/v2/": proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused (nothing listens there: check the port, and that the registry runs)',
    });
  });
});
