import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../lib/log.ts";
import type { Handler } from "./exchange.ts";
import { listen } from "./listener.ts";

let dir = "";
const file = (name: string) => join(dir, name);
const handler: Handler = async (exchange) => {
  if (exchange.path !== "/raw") return exchange.send(200, {}, "OK");
  const raw = exchange.hijack(101, { Connection: "Upgrade", Upgrade: "tcp" });
  for (let piece = await raw.next(); piece; piece = await raw.next()) await raw.write(piece);
};

function openssl(...args: string[]): void {
  const done = Bun.spawnSync(["openssl", ...args], { cwd: dir, stderr: "pipe" });
  if (!done.success) throw new Error(done.stderr.toString());
}

const hasOpenssl = Bun.which("openssl") !== null;
if (!hasOpenssl) console.log("TLS tests skipped: no openssl to make certificates with");

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tug-tls-"));
  if (!hasOpenssl) return;
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca");
  for (const name of ["server", "client"]) {
    openssl("req", ...ec, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...sign);
  }
  openssl("req", "-x509", ...ec, "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/CN=stranger");
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Sends a request as bytes and gives the reply, or the reason why there was none. */
function ask(port: number, client: string | undefined, path: string, more = ""): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    void Bun.connect({
      hostname: "127.0.0.1",
      port,
      tls: {
        rejectUnauthorized: false,
        ca: readFileSync(file("ca.pem")),
        ...(client
          ? { cert: readFileSync(file(`${client}.pem`)), key: readFileSync(file(`${client}.key`)) }
          : {}),
      },
      socket: {
        handshake(socket) {
          socket.write(`GET ${path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n${more}`);
        },
        data(socket, bytes) {
          text += bytes.toString();
          if (more !== "" && text.endsWith(more)) socket.end();
        },
        close: () => resolve(text),
        error: () => resolve(text),
        connectError: () => resolve(text),
      },
    });
  });
}

const serve = (clientCa?: string) =>
  listen(
    {
      kind: "tcp",
      host: "127.0.0.1",
      port: 0,
      tls: { cert: file("server.pem"), key: file("server.key"), clientCa },
    },
    { handler, log: silentLog },
  );

test.skipIf(!hasOpenssl)("HTTP over TLS, hijacked streams too", async () => {
  const listener = serve();
  const port = Number(new URL(listener.url).port);
  expect(await ask(port, undefined, "/")).toEndWith("OK");
  expect(await ask(port, undefined, "/raw", "echo me")).toEndWith("\r\n\r\necho me");
  await listener.close(0);
});

test.skipIf(!hasOpenssl)("with a client authority only its clients are served", async () => {
  const listener = serve(file("ca.pem"));
  const port = Number(new URL(listener.url).port);
  expect(await ask(port, "client", "/")).toEndWith("OK");
  expect(await ask(port, "stranger", "/")).toBe("");
  expect(await ask(port, undefined, "/")).toBe("");
  await listener.close(0);
});

test.skipIf(!hasOpenssl)("plain HTTP on a TLS port is not answered", async () => {
  const listener = serve();
  const port = Number(new URL(listener.url).port);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  await listener.close(0);
});

test.skipIf(!hasOpenssl)(
  "nobody who connects while certificates are read again is turned away, and wrong ones change nothing",
  async () => {
    copyFileSync(file("server.pem"), file("changing.pem"));
    copyFileSync(file("server.key"), file("changing.key"));
    const tls = { cert: file("changing.pem"), key: file("changing.key"), clientCa: undefined };
    const listener = listen({ kind: "tcp", host: "127.0.0.1", port: 0, tls }, { handler, log: silentLog });
    const { url } = listener;
    const port = Number(new URL(url).port);
    // In the listening socket's queue, on the way there, and in the middle of the handshake.
    for (const until of [() => undefined, () => Bun.sleep(0), () => Bun.sleep(1)]) {
      for (let round = 0; round < 8; round++) {
        const asked = [ask(port, undefined, "/"), ask(port, undefined, "/")];
        await until();
        listener.reload();
        expect((await Promise.all(asked)).map((reply) => reply.slice(-2))).toEqual(["OK", "OK"]);
      }
    }
    const open = readdirSync("/proc/self/fd").length;
    writeFileSync(file("changing.pem"), "no certificate");
    for (let round = 0; round < 20; round++) expect(() => listener.reload()).toThrow();
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(open + 10);
    expect(await ask(port, undefined, "/")).toEndWith("OK");
    expect(listener.url).toBe(url);
    await listener.close(0);
    expect(await ask(port, undefined, "/")).toBe("");
  },
);
