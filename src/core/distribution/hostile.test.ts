import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { codeOf, messageOf } from "../../base/lib/errors.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { temporaryContent } from "../content/testdata/temporary.ts";
import { HttpRegistryClient } from "./client.ts";
import { bodyChunks } from "./http/body.ts";
import { Transport } from "./http/transport.ts";
import { instantClock, noise, testConfig } from "./testdata/fake-registry.ts";
import { endless, HostileServer } from "./testdata/hostile-server.ts";

/** What a registry may try against its clients: every answer ends in an error that says so, soon, with nothing kept. */
async function attacked(answer: (path: string, socket: Socket, head: string) => void) {
  const content = temporaryContent();
  const server = await HostileServer.start(answer);
  const config = testConfig({ maxDownloadAttempts: 2 });
  const client = new HttpRegistryClient({ content: content.store, clock: instantClock(), config });
  const ref = parseReference(`${server.host}/app:1`);
  const outcome = async (work: Promise<unknown>) =>
    await work.then(
      () => "came through",
      (error: unknown) => `${codeOf(error)}: ${messageOf(error)}`,
    );
  const bytes = noise(300_000);
  return {
    server,
    content: content.store,
    bytes,
    resolve: (auth?: { username: string; password: string }) => outcome(client.resolve(ref, { auth })),
    fetch: (data: Uint8Array = bytes, size = data.byteLength) =>
      outcome(client.fetch(ref, { mediaType: mediaTypes.ociLayer, digest: digestOf(data), size }, {})),
    fetchBlob: (blob: Descriptor) => outcome(client.fetch(ref, blob, {})),
    blobs: () => [...content.store.list()].length,
    partials: () => readdirSync(join(content.root, "ingest")),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await content[Symbol.asyncDispose]();
    },
  };
}

const head = (status: string, ...headers: readonly string[]) =>
  `HTTP/1.1 ${status}\r\n${headers.map((each) => `${each}\r\n`).join("")}\r\n`;

describe("a hostile registry", () => {
  test("that sends a layer without end is cut off at the layer's size, with and without a length", async () => {
    for (const headers of [[], ["Content-Length: 99999999999"], ["Transfer-Encoding: chunked"]]) {
      await using at = await attacked((_, socket) => {
        socket.write(head("200 OK", ...headers));
        const chunk = "x".repeat(65_536);
        endless(socket, headers[0]?.startsWith("Transfer") ? `10000\r\n${chunk}\r\n` : chunk);
      });
      expect(await at.fetch()).toStartWith("data-loss: filesystem layer verification failed");
      expect(at.partials()).toEqual([]);
      expect(at.blobs()).toBe(0);
    }
  });

  test("that sends documents, tokens or errors without end is cut off at their limits", async () => {
    for (const status of ["200 OK", "404 Not Found", "429 Too Many Requests"]) {
      await using at = await attacked((_, socket, request) => {
        if (request.startsWith("HEAD")) return void socket.write(head("404 Not Found", "Content-Length: 0"));
        socket.write(head(status, "Content-Type: application/json"));
        endless(socket, " ".repeat(65_536));
      });
      expect(await at.resolve()).not.toBe("came through");
      expect(at.blobs()).toBe(0);
    }
    await using token = await attacked((path, socket) => {
      if (path.startsWith("/token")) {
        socket.write(head("200 OK"));
        return endless(socket, "[".repeat(65_536));
      }
      const realm = `WWW-Authenticate: Bearer realm="http://${token.server.host}/token",service="x"`;
      socket.write(head("401 Unauthorized", realm, "Content-Length: 0"));
    });
    expect(await token.resolve()).toContain("response is larger than");
  });

  test("that sends headers without end is given up", async () => {
    await using at = await attacked((_, socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      endless(socket, `X-A: ${"a".repeat(8000)}\r\n`);
    });
    expect(await at.resolve()).toStartWith("unavailable");
  });

  test("that answers something that is not HTTP, or nothing, is given up", async () => {
    for (const text of ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "\0\x01\x02", "HTTP/9.9 999 ?\r\n\r\n", ""]) {
      await using at = await attacked((_, socket) => void socket.end(text));
      expect(await at.resolve()).toStartWith("unavailable");
    }
  });

  test("that cuts every answer short gets the attempts there are, and what came is kept to go on", async () => {
    await using at = await attacked((_, socket) => {
      socket.write(head("200 OK", "Content-Length: 300000"));
      socket.end(at.bytes.subarray(0, 20_000));
    });
    expect(await at.fetch()).toStartWith("unavailable: download failed after attempts=2");
    expect(at.blobs()).toBe(0);
  });

  test("that flips a bit, or claims another size, is told so and not believed", async () => {
    await using at = await attacked((_, socket) => {
      const bad = at.bytes.slice();
      bad[1000] = (bad[1000] ?? 0) ^ 0x10;
      socket.write(head("200 OK", `Content-Length: ${bad.byteLength}`));
      socket.write(bad);
    });
    expect(await at.fetch()).toBe(
      `data-loss: filesystem layer verification failed for digest ${digestOf(at.bytes)}`,
    );
    expect(await at.fetch(at.bytes, at.bytes.byteLength + 1)).toStartWith("data-loss");
    expect(await at.fetch(at.bytes, at.bytes.byteLength - 1)).toStartWith("data-loss");
    expect(at.partials()).toEqual([]);
  });

  test("that redirects in circles, to files, or to the host's metadata service is not followed", async () => {
    for (const [target, complaint] of [
      ["/v2/round", "stopped after 10 redirects"],
      ["file:///etc/shadow", "unsupported protocol scheme in redirect"],
      ["unix:///var/run/docker.sock", "unsupported protocol scheme in redirect"],
      ["gopher://127.0.0.1/", "unsupported protocol scheme in redirect"],
      ["http://169.254.169.254/latest/meta-data/", "refused a redirect to the link-local address"],
      ["http://2852039166/", "refused a redirect to the link-local address 169.254.169.254"],
      ["http://[fe80::1]/", "refused a redirect to the link-local address"],
      ["http://[::ffff:169.254.169.254]/", "refused a redirect to the link-local address"],
      ["http://", "failed to parse Location header"],
    ] as const) {
      await using at = await attacked(
        (_, socket) =>
          void socket.write(head("307 Temporary Redirect", `Location: ${target}`, "Content-Length: 0")),
      );
      expect(await at.fetch()).toContain(complaint);
    }
  });

  test("that names the metadata service, a file or plain HTTP elsewhere as its token server gets no password there", async () => {
    for (const realm of ["http://169.254.169.254/token", "file:///etc/passwd", "not a url", ""]) {
      await using at = await attacked(
        (_, socket) =>
          void socket.write(
            head("401 Unauthorized", `WWW-Authenticate: Bearer realm="${realm}"`, "Content-Length: 0"),
          ),
      );
      expect(await at.resolve({ username: "u", password: "p" })).toMatch(/link-local|realm/);
    }
  });

  test("cannot send for a layer's bytes at the metadata service", async () => {
    await using at = await attacked(
      (_, socket) => void socket.write(head("404 Not Found", "Content-Length: 0")),
    );
    const blob = {
      mediaType: mediaTypes.dockerForeignLayer,
      digest: digestOf("x"),
      size: 1,
      urls: ["file:///etc/shadow", "http://169.254.169.254/latest"],
    };
    expect(await at.fetchBlob(blob)).toStartWith("forbidden: refused to fetch layer");
  });

  test("gets credentials back at its own address only", async () => {
    await using other = await HostileServer.start((_, socket) => {
      socket.write(head("200 OK", "Content-Length: 5"));
      socket.write("bytes");
    });
    await using at = await attacked((_, socket, request) => {
      const authorized = /^authorization: /im.test(request);
      const lines = authorized
        ? ["307 Temporary Redirect", `Location: http://${other.host}/elsewhere`]
        : ["401 Unauthorized", 'WWW-Authenticate: Basic realm="x"'];
      socket.write(head(lines[0] ?? "", lines[1] ?? "", "Content-Length: 0"));
    });
    await at.resolve({ username: "u", password: "p" });
    expect(at.server.heads.some((each) => /^authorization: /im.test(each))).toBe(true);
    expect(other.heads.length).toBeGreaterThan(0);
    expect(other.heads.every((each) => !/^authorization: /im.test(each))).toBe(true);
  });

  test("that trickles is given up like one that stalls, but a slow reader is not its fault", async () => {
    await using server = await HostileServer.start((path, socket) => {
      socket.write(head("200 OK"));
      const timer = setInterval(() => socket.write(path === "/slow" ? "x" : "x".repeat(10_000)), 20);
      socket.on("close", () => clearInterval(timer));
    });
    const names = { lookup: async () => [], server: "" };
    const transport = new Transport({ userAgent: "tug/test", proxy: {}, names });
    const tls = { verify: true, authorities: [], client: undefined };
    const read = async (path: string, pause: number, limit: number, stallMs: number) => {
      using exchange = await transport.send({ method: "GET", url: `http://${server.host}${path}`, tls });
      let size = 0;
      for await (const chunk of bodyChunks(exchange, stallMs)) {
        size += chunk.byteLength;
        if (size > limit) return "enough";
        await Bun.sleep(pause);
      }
      return "ended";
    };
    // A machine that stood still for so long has seen nothing at all.
    const told = /(only \d+ bytes a second|no data) for 2 seconds/;
    await expect(read("/slow", 0, 10_000, 2000)).rejects.toThrow(told);
    expect(await read("/fast", 100, 50_000, 20_000)).toBe("enough");
  });
});
