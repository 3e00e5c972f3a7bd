import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "./address.ts";
import { Client } from "./client.ts";
import { DaemonError } from "./errors.ts";

/** A server that answers each connection's bytes as a function of what came so far; it keeps what it heard. */
let folder: string;
let server: Server | undefined;
const sockets = new Set<Socket>();
let connections: number;
let heard: string[];
const serve = (answer: (request: string, write: (text: string | Buffer) => void, end: () => void) => void) =>
  new Promise<Client>((resolve) => {
    connections = 0;
    heard = [];
    server = createServer({ allowHalfOpen: true }, (socket) => {
      connections++;
      sockets.add(socket);
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (/chunked/i.test(text) ? !text.endsWith("0\r\n\r\n") : text.length < end + 4 + length) return;
        const request = text;
        text = "";
        heard.push(request);
        answer(
          request,
          (out) => socket.write(out),
          () => socket.end(),
        );
      });
      socket.on("error", () => undefined);
    });
    const path = join(folder, "s.sock");
    server.listen(path, () => resolve(new Client({ address: parseAddress(`unix://${path}`) })));
  });
const json = (status: number, body: unknown, headers = "") => {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-client-"));
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((done) => (server ? server.close(done) : done(undefined)));
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

describe("versions", () => {
  test("an older daemon is met at its version after one refused try, and stays so", async () => {
    const client = await serve((request, write) => {
      if (request.includes("/v1.41/")) write(json(200, { ok: true }));
      else
        write(
          json(
            400,
            { message: "client version 1.51 is too new. Maximum supported API version is 1.41" },
            "Api-Version: 1.41\r\n",
          ),
        );
    });
    await Promise.all([
      client.json({ method: "GET", path: "/a" }),
      client.json({ method: "GET", path: "/b" }),
    ]);
    await client.json({ method: "GET", path: "/c" });
    expect(client.version).toBe("1.41");
    expect(heard.filter((request) => request.includes("/v1.51/")).length).toBeLessThanOrEqual(2);
    client.close();
  });

  test("a body that can be sent once is preceded by a ping", async () => {
    const client = await serve((request, write) => {
      write(
        request.startsWith("GET /_ping")
          ? "HTTP/1.1 200 OK\r\nApi-Version: 1.40\r\nContent-Length: 2\r\n\r\nOK"
          : json(200, {}),
      );
    });
    const once = async function* () {
      yield Buffer.from("abc");
      yield Buffer.from("defg");
    };
    await client.send({ method: "POST", path: "/load", body: once() });
    expect(heard[1]).toStartWith("POST /v1.40/load");
    expect(heard[1]).toEndWith("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    client.close();
  });
});

describe("replies", () => {
  test("errors carry the daemon's message, status and code", async () => {
    const client = await serve((_, write) => write(json(404, { message: "No such container: x" })));
    const error = await client.text({ method: "GET", path: "/x" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DaemonError);
    expect(error).toMatchObject({
      code: "not-found",
      status: 404,
      message: "Error response from daemon: No such container: x",
    });
    client.close();
  });

  test("chunks may arrive cut anywhere", async () => {
    const reply =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: z\r\n\r\n";
    const client = await serve((_, write) => {
      for (const byte of reply) write(byte);
    });
    expect(await client.text({ method: "GET", path: "/x" })).toBe("Wikipedia");
    client.close();
  });

  test("a connection is used again, and opened anew when it went away meanwhile", async () => {
    let count = 0;
    const client = await serve((_, write, end) => {
      write(json(200, ++count));
      if (count === 2) end();
    });
    for (let round = 1; round <= 3; round++) {
      expect(await client.json<number>({ method: "GET", path: "/x" })).toBe(round);
      await Bun.sleep(5); // lets the end of the second connection arrive
    }
    expect(connections).toBe(2);
    client.close();
  });

  test("a body without a length ends with the connection; a cut one is an error", async () => {
    const client = await serve((request, write, end) => {
      write(
        request.includes("/cut")
          ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
          : "HTTP/1.1 200 OK\r\n\r\nabc",
      );
      end();
    });
    expect(await client.text({ method: "GET", path: "/x" })).toBe("abc");
    await expect(client.text({ method: "GET", path: "/cut" })).rejects.toThrow(
      "closed the connection within a reply",
    );
    client.close();
  });

  test("garbage is an error, not a crash", async () => {
    const client = await serve((_, write, end) => {
      write("SSH-2.0-nonsense\r\n\r\n");
      end();
    });
    await expect(client.text({ method: "GET", path: "/x" })).rejects.toThrow("does not speak HTTP");
    client.close();
  });

  test("a refusal in the middle of an upload is told rather than the broken pipe", async () => {
    const path = join(folder, "refuse.sock");
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("data", (chunk) => {
        if (chunk.toString().startsWith("GET /_ping")) {
          socket.write("HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Length: 2\r\n\r\nOK");
          socket.once("data", () => socket.end(json(409, { message: "no room" })));
        }
      });
    });
    await new Promise<void>((done) => server?.listen(path, done));
    const client = new Client({ address: parseAddress(`unix://${path}`) });
    const endless = async function* () {
      for (let i = 0; i < 4000; i++) {
        yield Buffer.alloc(65536);
        await Bun.sleep(0);
      }
    };
    await expect(client.send({ method: "POST", path: "/load", body: endless() })).rejects.toThrow("no room");
  });

  test("an aborted request ends at once", async () => {
    const client = await serve(() => undefined);
    const stop = new AbortController();
    const request = client.text({ method: "GET", path: "/x", signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 10);
    await expect(request).rejects.toThrow("enough");
    client.close();
  });
});

describe("hijacked streams", () => {
  test("both directions flow, and ours can end first", async () => {
    const path = join(folder, "hijack.sock");
    server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      let count = -1;
      socket.on("data", (chunk) => {
        if (count < 0) {
          count = 0;
          socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ");
        } else count += chunk.length;
      });
      socket.on("end", () => socket.end(`got ${count}`));
    });
    await new Promise<void>((done) => server?.listen(path, done));
    const client = new Client({ address: parseAddress(`unix://${path}`) });
    const { stream } = await client.hijack({ method: "POST", path: "/attach" });
    for (let i = 0; i < 64; i++) await stream.write(Buffer.alloc(100_000));
    stream.shutdown();
    let text = "";
    for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read())
      text += Buffer.from(chunk).toString();
    expect(text).toBe("first got 6400000");
    stream.close();
  });

  test("a refusal is an error like any other", async () => {
    const client = await serve((_, write) => write(json(409, { message: "Container x is not running" })));
    await expect(client.hijack({ method: "POST", path: "/attach" })).rejects.toThrow(
      "Container x is not running",
    );
    client.close();
  });
});

describe("addresses", () => {
  test("are read as Docker reads them", () => {
    expect(parseAddress("")).toMatchObject({ kind: "unix", path: "/run/tug/tug.sock" });
    expect(parseAddress("unix:///x.sock")).toMatchObject({ kind: "unix", path: "/x.sock" });
    expect(parseAddress("tcp://host:99")).toMatchObject({ kind: "tcp", host: "host", port: 99 });
    expect(parseAddress("tcp://[::1]", true)).toMatchObject({ host: "::1", port: 2376 });
    expect(parseAddress("host")).toMatchObject({ kind: "tcp", host: "host", port: 2375 });
    expect(parseAddress("ssh://me@host:22/run/x.sock")).toMatchObject({
      kind: "ssh",
      destination: ["-l", "me", "-p", "22", "--", "host"],
      socket: "/run/x.sock",
    });
    expect(() => parseAddress("ftp://x")).toThrow("protocol");
    expect(() => parseAddress("ssh://-oProxyCommand=x/")).toThrow("invalid ssh URL");
    expect(() => parseAddress("tcp://host:99999")).toThrow("invalid");
  });

  test("an absent daemon is named, with the way out", async () => {
    const client = new Client({ address: parseAddress(`unix://${folder}/none.sock`) });
    await expect(client.text({ method: "GET", path: "/x" })).rejects.toThrow(
      `Cannot connect to the Tug daemon at unix://${folder}/none.sock. Is the tug daemon running?`,
    );
  });
});
