import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../../base/lib/errors.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import { temporaryContent } from "../content/testdata/temporary.ts";
import { HttpRegistryClient } from "./client.ts";
import { Transport } from "./http/transport.ts";
import { FakeRegistry, instantClock, testConfig } from "./testdata/fake-registry.ts";

const openssl = Bun.which("openssl");

describe.skipIf(!openssl)("registries over TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "tug-tls-"));
  const file = (name: string) => join(directory, name);
  const read = (name: string) => readFileSync(file(name), "utf8");
  const run = (...args: string[]) => {
    const done = Bun.spawnSync([openssl ?? "openssl", ...args], { cwd: directory });
    if (done.exitCode !== 0) throw new Error(done.stderr.toString());
  };
  let registry: FakeRegistry;
  let tls: { stop(force: boolean): unknown; port: number | undefined };

  beforeAll(() => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    run(
      "req",
      "-x509",
      ...key,
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-subj",
      "/CN=authority",
      "-days",
      "2",
    );
    run("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
    run("req", ...key, "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=client");
    const sign = ["x509", "-req", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    Bun.spawnSync(["sh", "-c", "echo 'subjectAltName=DNS:localhost' > names"], { cwd: directory });
    run(...sign, "-in", "server.csr", "-out", "server.crt", "-extfile", "names");
    run(...sign, "-in", "client.csr", "-out", "client.crt");
    registry = new FakeRegistry();
    registry.addImage("library/app", "1", ["layer"]);
    tls = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: {
        cert: read("server.crt"),
        key: read("server.key"),
        ca: read("ca.crt"),
        requestCert: true,
        rejectUnauthorized: true,
      },
      fetch: (request) => {
        const url = new URL(request.url);
        const to = url.searchParams.get("to");
        if (to !== null) return new Response("", { status: 307, headers: { Location: to } });
        return fetch(`${registry.origin}${url.pathname}`, {
          method: request.method,
          headers: request.headers,
          proxy: false as never,
        });
      },
    });
  });
  afterAll(() => {
    tls.stop(true);
    registry[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Resolves an image with these files in the registry's certificate directory; returns the error, if any. */
  async function pull(certificates: readonly string[]): Promise<string> {
    await using content = temporaryContent();
    const authority = `localhost:${tls.port}`;
    const certs = mkdtempSync(join(directory, "certs-"));
    mkdirSync(join(certs, authority));
    for (const name of certificates)
      copyFileSync(file(name), join(certs, authority, name.replace("client.crt", "client.cert")));
    const config = testConfig({ certificateDirectories: [join(directory, "none"), certs] });
    const client = new HttpRegistryClient({ content: content.store, clock: instantClock(), config });
    try {
      await client.resolve(parseReference(`${authority}/library/app:1`), {});
      return "";
    } catch (error) {
      return messageOf(error);
    }
  }

  test("the registry's own authority and client certificate are used", async () => {
    expect(await pull(["ca.crt", "client.crt", "client.key"])).toBe("");
  });

  test("a certificate counts only from a trusted authority and for the right name", async () => {
    const names = { lookup: async () => [], server: "" };
    const transport = new Transport({ userAgent: "tug/test", proxy: {}, names });
    const client = { certificate: read("client.crt"), key: read("client.key") };
    const get = async (host: string, authorities: readonly string[], verify = true) => {
      const url = `https://${host}:${tls.port}/v2/`;
      using exchange = await transport.send({ method: "GET", url, tls: { verify, authorities, client } });
      return exchange.response.status;
    };
    expect(await get("localhost", [read("ca.crt")])).toBe(200);
    await expect(get("localhost", [])).rejects.toThrow("x509: certificate signed by unknown authority");
    await expect(get("127.0.0.1", [read("ca.crt")])).rejects.toThrow(
      "x509: certificate is not valid for 127.0.0.1",
    );
    // A connection kept from an unverified request must not serve a verified one.
    expect(await get("127.0.0.1", [], false)).toBe(200);
    await expect(get("127.0.0.1", [read("ca.crt")])).rejects.toThrow("x509");
  });

  test("a verified registry may send blobs over to plain HTTP, but no documents", async () => {
    const names = { lookup: async () => [], server: "" };
    const transport = new Transport({ userAgent: "tug/test", proxy: {}, names });
    const client = { certificate: read("client.crt"), key: read("client.key") };
    const settings = { verify: true, authorities: [read("ca.crt")], client };
    const url = `https://localhost:${tls.port}/redirect?to=${encodeURIComponent(`${registry.origin}/v2/`)}`;
    const get = { method: "GET", url, tls: settings, authorization: "Basic x" } as const;
    await expect(transport.send(get)).rejects.toThrow("refused a redirect from https to");
    using exchange = await transport.send({ ...get, allowDowngrade: true });
    expect(exchange.response.status).toBe(200);
    expect(registry.requests.at(-1)?.headers.get("authorization")).toBeNull();
  });

  test("without the client certificate a registry that wants one is not reached", async () => {
    expect(await pull(["ca.crt"])).not.toBe("");
  });

  test("hosts.toml brings both; without them it says what to do", async () => {
    const authority = `localhost:${tls.port}`;
    const pulled = async (lines: string) => {
      await using content = temporaryContent();
      const certs = mkdtempSync(join(directory, "hosts-"));
      mkdirSync(join(certs, authority));
      const toml = `server = "https://${authority}"\nskip_verify = false\n${lines}`;
      writeFileSync(join(certs, authority, "hosts.toml"), toml);
      const config = testConfig({ certificateDirectories: [certs], hostsDirectories: [certs] });
      const client = new HttpRegistryClient({ content: content.store, clock: instantClock(), config });
      return await client.resolve(parseReference(`${authority}/library/app:1`), {}).then(() => "", messageOf);
    };
    const ca = `ca = "${file("ca.crt")}"\n`;
    const client = `client = [["${file("client.crt")}", "${file("client.key")}"]]\n`;
    expect(await pulled(ca + client)).toBe("");
    expect(await pulled(client)).toBe(
      `Get "https://${authority}/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority (put the certificate of the authority that signed it into /etc/docker/certs.d/${authority}/ca.crt, or list the registry in "insecure-registries")`,
    );
    expect(await pulled(ca)).toBe(
      `Get "https://${authority}/v2/": remote error: tls: certificate required (the registry wants a client certificate: put client.cert and client.key into /etc/docker/certs.d/${authority}/)`,
    );
    expect(
      await pulled(`${ca}${client}[host."https://127.0.0.1:${tls.port}"]\nskip_verify = false\n${ca}`),
    ).toBe("");
  });

  test("a certificate without its key is refused with its name", async () => {
    expect(await pull(["client.crt"])).toBe(
      "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt",
    );
    expect(await pull(["client.key"])).toBe("missing client certificate client.cert for key client.key");
  });
});
