import { describe, expect, test } from "bun:test";
import { messageOf } from "../../../base/lib/errors.ts";
import { FakeRegistry } from "../testdata/fake-registry.ts";
import { bodyChunks, readBody } from "./body.ts";
import { Transport } from "./transport.ts";
import { type Names, transportError } from "./transport-error.ts";

const names: Names = {
  lookup: async (host) => (host === "two.test" ? ["2001:db8::1", "192.0.2.7"] : []),
  server: "192.0.2.53:53",
};
const tls = { verify: true, authorities: [], client: undefined };
const transport = new Transport({ userAgent: "tug/test", proxy: {}, names });

describe("what a failed connection is called", () => {
  const of = async (code: string, url = "https://two.test/v2/?sig=secret", proxy: string | false = false) =>
    messageOf(await transportError(Object.assign(new Error("x"), { code }), "GET", url, proxy, names));

  test("is what dockerd calls it", async () => {
    expect(await of("ECONNREFUSED")).toBe(
      'Get "https://two.test/v2/": dial tcp 192.0.2.7:443: connect: connection refused',
    );
    expect(await of("EHOSTUNREACH", "http://[2001:db8::9]:5000/v2/")).toBe(
      'Get "http://[2001:db8::9]:5000/v2/": dial tcp [2001:db8::9]:5000: connect: no route to host',
    );
    expect(await of("ENOTFOUND", "https://none.test/v2/")).toBe(
      'Get "https://none.test/v2/": dial tcp: lookup none.test on 192.0.2.53:53: no such host',
    );
    expect(await of("UNABLE_TO_VERIFY_LEAF_SIGNATURE")).toBe(
      'Get "https://two.test/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    );
    expect(await of("EPROTO")).toBe(
      'Get "https://two.test/v2/": http: server gave HTTP response to HTTPS client',
    );
    expect(await of("ECONNRESET")).toBe('Get "https://two.test/v2/": EOF');
    expect(await of("ECONNREFUSED", "https://two.test/", "http://192.0.2.9:3128")).toBe(
      'Get "https://two.test/": proxyconnect tcp: dial tcp 192.0.2.9:3128: connect: connection refused',
    );
  });
});

describe("bodies", () => {
  test("a peer that stalls is given up", async () => {
    using server = new FakeRegistry();
    server.intercept = () =>
      new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) }));
    using exchange = await transport.send({ method: "GET", url: server.origin, tls });
    const read = async () => {
      for await (const chunk of bodyChunks(exchange, 50)) expect(chunk.byteLength).toBe(10);
    };
    await expect(read()).rejects.toThrow("no data for 0.05 seconds");
  });

  test("a head that never comes is given up", async () => {
    using server = new FakeRegistry();
    server.intercept = () => new Promise<Response>(() => undefined);
    const sending = transport.send({ method: "GET", url: server.origin, tls, headTimeout: 50 });
    await expect(sending).rejects.toThrow("Client.Timeout exceeded while awaiting headers");
  });

  test("a body over its limit is refused, with and without a length", async () => {
    using server = new FakeRegistry();
    for (const body of [
      () => new Uint8Array(2000),
      () => new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(500)) }),
    ]) {
      server.intercept = () => new Response(body());
      using exchange = await transport.send({ method: "GET", url: server.origin, tls });
      await expect(readBody(exchange, 1000)).rejects.toThrow("larger than 1000 bytes");
    }
  });

  test("a compressed transfer is not decoded on the way", async () => {
    using server = new FakeRegistry();
    const packed = Bun.gzipSync(new Uint8Array(1000));
    server.intercept = () => new Response(packed, { headers: { "Content-Encoding": "gzip" } });
    using exchange = await transport.send({ method: "GET", url: server.origin, tls });
    expect(await readBody(exchange, 1000)).toEqual(Buffer.from(packed));
  });
});

describe("redirects", () => {
  test("a secret body goes nowhere else", async () => {
    using server = new FakeRegistry();
    using other = new FakeRegistry();
    server.intercept = () =>
      new Response("", { status: 307, headers: { Location: `${other.origin}/token` } });
    const posting = transport.send({
      method: "POST",
      url: server.origin,
      tls,
      body: () => "refresh",
      secretBody: true,
    });
    await expect(posting).rejects.toThrow("refused to send credentials on to");
    expect(other.requests).toHaveLength(0);
  });

  test("a body is sent again with 307 and becomes a GET with 303", async () => {
    using server = new FakeRegistry();
    const seen: string[] = [];
    server.intercept = async (request, url) => {
      if (url.pathname === "/") return new Response("", { status: 307, headers: { Location: "/again" } });
      seen.push(`${request.method} ${await request.text()}`);
      if (url.pathname === "/again") return new Response("", { status: 303, headers: { Location: "/done" } });
      return new Response("ok");
    };
    using exchange = await transport.send({
      method: "PUT",
      url: `${server.origin}/`,
      tls,
      body: () => "data",
    });
    expect(exchange.response.status).toBe(200);
    expect(seen).toEqual(["PUT data", "GET "]);
  });
});
