import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../lib/log.ts";
import type { Exchange, Handler } from "./exchange.ts";
import { type Listener, listen } from "./listener.ts";

let dir = "";
let listener: Listener;
let handler: Handler;
const path = () => join(dir, "s.sock");

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tug-http-"));
  handler = async (exchange) => exchange.send(200, {}, "OK");
  listener = listen({ kind: "unix", path: path() }, { handler: (e) => handler(e), log: silentLog });
});
afterEach(async () => {
  await listener.close(100);
  rmSync(dir, { recursive: true });
});

/** A client that sees the bytes. */
class Client {
  readonly socket: Socket;
  text = "";
  ended = false;
  #wake: (() => void) | undefined;
  constructor(socket: Socket = connect({ path: path(), allowHalfOpen: true })) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("latin1");
      this.#wake?.();
    });
    const end = () => {
      this.ended = true;
      this.#wake?.();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", end);
  }
  send(text: string): this {
    this.socket.write(text);
    return this;
  }
  async until(condition: () => boolean): Promise<string> {
    while (!condition()) {
      if (this.ended) throw new Error(`connection ended after ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }
  has(part: string): Promise<string> {
    return this.until(() => this.text.includes(part));
  }
  async end(): Promise<string> {
    while (!this.ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }
}

const body = async (exchange: Exchange) => new TextDecoder().decode(await exchange.body.bytes(1024 * 1024));
const requestLine = (method: string, target: string, ...headers: string[]) =>
  `${[`${method} ${target} HTTP/1.1`, "Host: d", ...headers].join("\r\n")}\r\n\r\n`;

describe("requests", () => {
  test("one connection serves many requests, one after the other, pipelined too", async () => {
    const order: string[] = [];
    handler = async (exchange) => {
      await new Promise((resolve) => setImmediate(resolve));
      order.push(exchange.path);
      exchange.send(200, {}, exchange.path);
    };
    const client = new Client();
    client.send(requestLine("GET", "/a") + requestLine("GET", "/b") + requestLine("GET", "/c%20d"));
    await client.has("/c d");
    expect(order).toEqual(["/a", "/b", "/c d"]);
    client.socket.destroy();
  });

  test("a head that comes byte by byte is read", async () => {
    const client = new Client();
    for (const byte of requestLine("GET", "/")) client.send(byte);
    await client.has("OK");
    client.socket.destroy();
  });

  test("bodies come by length and in chunks, and the next request starts behind them", async () => {
    handler = async (exchange) => exchange.send(200, {}, `[${await body(exchange)}]`);
    const client = new Client();
    client.send(`${requestLine("POST", "/", "Content-Length: 5")}hello`);
    client.send(`${requestLine("POST", "/", "Transfer-Encoding: chunked")}3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n`);
    client.send(requestLine("POST", "/"));
    const text = await client.has("[]");
    expect(text).toContain("[hello]");
    expect(text).toContain("[abcdef]");
    client.socket.destroy();
  });

  test("Expect: 100-continue is answered when the body is wanted, and not when it is refused", async () => {
    handler = async (exchange) => {
      if (exchange.path === "/no") return exchange.send(403, {}, "no");
      exchange.send(200, {}, `[${await body(exchange)}]`);
    };
    const client = new Client();
    client.send(requestLine("POST", "/yes", "Content-Length: 2", "Expect: 100-continue"));
    await client.has("100 Continue\r\n\r\n");
    client.send("hi");
    await client.has("[hi]");
    const other = new Client();
    other.send(requestLine("POST", "/no", "Content-Length: 2", "Expect: 100-continue"));
    const text = await other.end();
    expect(text).not.toContain("100 Continue");
    expect(text).toContain("403 Forbidden");
    expect(text).toContain("Connection: close");
    client.socket.destroy();
  });

  test("a body over the limit is refused and the connection stays in step", async () => {
    handler = async (exchange) => {
      try {
        await exchange.body.bytes(4);
        exchange.send(200, {}, "read");
      } catch (error) {
        exchange.send(400, {}, String(error));
      }
    };
    const client = new Client();
    client.send(`${requestLine("POST", "/", "Content-Length: 10")}0123456789`);
    client.send(`${requestLine("POST", "/", "Content-Length: 2")}ok`);
    const text = await client.has("read");
    expect(text).toContain("http: request body too large");
    client.socket.destroy();
  });

  test("an unread body is read away so that the connection can be kept", async () => {
    const client = new Client();
    client.send(`${requestLine("POST", "/", "Content-Length: 100000")}`);
    // The status line says OK as well: the answer is over with its body.
    await client.until(() => client.text.endsWith("\r\n\r\nOK"));
    client.send("x".repeat(100000));
    client.text = "";
    client.send(requestLine("GET", "/"));
    await client.until(() => client.text.endsWith("\r\n\r\nOK"));
    client.socket.destroy();
  });

  test("an unread body that is too large ends the connection after the reply", async () => {
    const client = new Client();
    client.send(`${requestLine("POST", "/", "Content-Length: 100000000")}`);
    client.send("x".repeat(100000));
    expect(await client.end()).toContain("OK");
  });

  test.each([
    ["what is not HTTP", "hello\r\n\r\n", "400 Bad Request"],
    ["a TLS hello", "\x16\x03\x01\x02\r\n\r\n", "400 Bad Request"],
    ["a head without end", `GET / HTTP/1.1\r\nX: ${"a".repeat(70_000)}`, "431 "],
    ["a broken path", requestLine("GET", "/%zz"), "400 Bad Request"],
  ])("%s is refused and the connection closed", async (_, bytes, status) => {
    const text = await new Client().send(bytes).end();
    expect(text).toStartWith(`HTTP/1.1 ${status}`);
    expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n")))).toHaveProperty("message");
  });

  test("broken chunks reach the handler as an error", async () => {
    handler = async (exchange) => {
      const problem = await body(exchange).catch(String);
      exchange.send(400, {}, String(problem));
    };
    const text = await new Client()
      .send(`${requestLine("POST", "/", "Transfer-Encoding: chunked")}zz\r\n`)
      .end();
    expect(text).toContain("malformed chunked encoding");
  });

  test("HTTP/1.0 is answered and closed", async () => {
    const text = await new Client().send("GET / HTTP/1.0\r\n\r\n").end();
    expect(text).toContain("Connection: close");
    expect(text).toEndWith("OK");
  });
});

describe("replies", () => {
  test("HEAD has the headers and no body", async () => {
    const client = new Client().send(requestLine("HEAD", "/") + requestLine("GET", "/"));
    const text = await client.until(() => client.text.endsWith("\r\n\r\nOK"));
    expect(text.split("HTTP/1.1 200 OK").length).toBe(2 + 1);
    expect(text.match(/Content-Length: 2/g)?.length).toBe(2);
    client.socket.destroy();
  });

  test("each write of a stream arrives at once", async () => {
    const gate = Promise.withResolvers<void>();
    handler = async (exchange) => {
      const reply = exchange.stream(200, {});
      await reply.write("first\n");
      await gate.promise;
      await reply.write("second\n");
    };
    const client = new Client().send(requestLine("GET", "/"));
    const early = await client.has("first");
    expect(early).toContain("Transfer-Encoding: chunked");
    gate.resolve();
    const text = await client.has("0\r\n\r\n");
    expect(text).toContain("7\r\nsecond\n\r\n");
    client.send(requestLine("GET", "/"));
    client.socket.destroy();
  });

  test("a failure in the middle of a stream cuts the connection without the last chunk", async () => {
    handler = async (exchange) => {
      await exchange.stream(200, {}).write("part");
      throw new Error("disk on fire");
    };
    expect(await new Client().send(requestLine("GET", "/")).end()).not.toContain("0\r\n\r\n");
  });

  test("a handler that throws before replying gives 500 and the daemon lives", async () => {
    handler = async () => {
      throw new Error("surprise");
    };
    expect(await new Client().send(requestLine("GET", "/")).end()).toContain('{"message":"surprise"}');
    handler = async (exchange) => exchange.send(200, {}, "alive");
    const client = new Client().send(requestLine("GET", "/"));
    await client.has("alive");
    client.socket.destroy();
  });

  test("a client that does not read makes only its own writer wait, and memory stays bounded", async () => {
    const chunk = new Uint8Array(64 * 1024);
    let written = 0;
    const over = Promise.withResolvers<unknown>();
    handler = async (exchange) => {
      if (exchange.path === "/quick") return exchange.send(200, {}, "quick");
      const reply = exchange.stream(200, {});
      try {
        for (;;) {
          await reply.write(chunk);
          written += chunk.length;
        }
      } catch (error) {
        over.resolve(error);
        throw error;
      }
    };
    const slow = connect({ path: path() });
    slow.on("error", () => undefined);
    slow.pause();
    slow.write(requestLine("GET", "/endless"));
    const quick = new Client();
    for (let i = 0; i < 20; i++) {
      quick.text = "";
      quick.send(requestLine("GET", "/quick"));
      await quick.has("quick");
    }
    expect(written).toBeLessThan(4 * 1024 * 1024);
    slow.destroy();
    expect(String(await over.promise)).toContain("client closed the connection");
    quick.socket.destroy();
  });

  test("the signal is aborted when the client goes away", async () => {
    const aborted = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    handler = async (exchange) => {
      exchange.signal.addEventListener("abort", () => aborted.resolve());
      started.resolve();
      await aborted.promise;
    };
    const client = new Client().send(requestLine("GET", "/"));
    await started.promise;
    client.socket.destroy();
    await aborted.promise;
  });
});

describe("hijacked connections", () => {
  test("both directions flow, and the client's half-close is the end of input only", async () => {
    handler = async (exchange) => {
      const raw = exchange.hijack(101, { Connection: "Upgrade", Upgrade: "tcp" });
      let text = "";
      for (let piece = await raw.next(); piece; piece = await raw.next()) {
        text += new TextDecoder().decode(piece);
      }
      await raw.write(new TextEncoder().encode(`you said ${text}`));
    };
    const client = new Client();
    client.send(`${requestLine("POST", "/", "Connection: Upgrade", "Upgrade: tcp")}early `);
    await client.has("101 UPGRADED");
    client.send("late");
    client.socket.end();
    expect(await client.end()).toEndWith("\r\n\r\nyou said early late");
  });

  test("a client may close its direction before the upgrade", async () => {
    handler = async (exchange) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const raw = exchange.hijack(101, {});
      const first = await raw.next();
      await raw.write(Buffer.from(`${first === undefined} ${exchange.signal.aborted}`));
    };
    const client = new Client().send(requestLine("POST", "/", "Upgrade: tcp"));
    client.socket.end();
    expect(await client.end()).toEndWith("\r\n\r\ntrue false");
  });

  test("output is whole although the client was still sending when it ended", async () => {
    const size = 3 * 1024 * 1024;
    handler = async (exchange) => {
      const raw = exchange.hijack(200, {});
      raw.ignoreInput();
      await raw.write(new Uint8Array(size).fill(97));
    };
    const client = new Client().send(requestLine("POST", "/"));
    for (let i = 0; i < 20; i++) client.send("x".repeat(10_000));
    const text = await client.end();
    expect(text.length - text.indexOf("\r\n\r\n") - 4).toBe(size);
  });

  test("input waits when nobody reads it", async () => {
    const go = Promise.withResolvers<void>();
    const result = Promise.withResolvers<number>();
    handler = async (exchange) => {
      const raw = exchange.hijack(101, {});
      await go.promise;
      let total = 0;
      for (let piece = await raw.next(); piece; piece = await raw.next()) total += piece.length;
      result.resolve(total);
    };
    const client = new Client().send(requestLine("POST", "/"));
    await client.has("101");
    const size = 16 * 1024 * 1024;
    client.socket.write(Buffer.alloc(size));
    await new Promise((resolve) => setTimeout(resolve, 50));
    // The kernel's buffers and our high-water mark hold a part; the rest is still with the client.
    expect(client.socket.writableLength).toBeGreaterThan(size / 2);
    go.resolve();
    client.socket.end();
    expect(await result.promise).toBe(size);
  });
});

describe("listeners", () => {
  test("the unix socket has mode 0660 and can take the place of a dead one", async () => {
    expect(statSync(path()).mode & 0o777).toBe(0o660);
    const again = listen({ kind: "unix", path: path(), mode: 0o600 }, { handler, log: silentLog });
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    // The first one's path is the second one's now, and stays.
    await listener.close(0);
    expect(statSync(path()).isSocket()).toBe(true);
    await again.close(0);
    expect(() => statSync(path())).toThrow();
  });

  test("a path that is no socket is left alone", () => {
    const file = join(dir, "precious");
    writeFileSync(file, "data");
    expect(() => listen({ kind: "unix", path: file }, { handler, log: silentLog })).toThrow(
      "can't create unix socket",
    );
    expect(statSync(file).size).toBe(4);
  });

  test("closing lets a request finish and takes no new one", async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    handler = async (exchange) => {
      started.resolve();
      await gate.promise;
      exchange.send(200, {}, "done");
    };
    const idle = new Client();
    const client = new Client().send(requestLine("GET", "/"));
    await started.promise;
    const closed = listener.close(5000);
    gate.resolve();
    expect(await client.end()).toContain("done");
    await idle.end();
    await closed;
  });

  test("closing cuts what does not finish in time", async () => {
    const started = Promise.withResolvers<void>();
    handler = async (exchange) => {
      started.resolve();
      await new Promise((resolve) => exchange.signal.addEventListener("abort", resolve));
    };
    const client = new Client().send(requestLine("GET", "/"));
    await started.promise;
    await listener.close(20);
    await client.end();
  });

  test("TCP listens on a free port and says which", async () => {
    const tcp = listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, { handler, log: silentLog });
    const reply = await fetch(`${tcp.url.replace("tcp:", "http:")}/x`);
    expect(await reply.text()).toBe("OK");
    await tcp.close(0);
  });

  test("a port that is taken is an error", async () => {
    const tcp = listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, { handler, log: silentLog });
    const port = Number(new URL(tcp.url).port);
    expect(() => listen({ kind: "tcp", host: "127.0.0.1", port }, { handler, log: silentLog })).toThrow(
      "failed to listen on tcp://127.0.0.1",
    );
    await tcp.close(0);
  });
});

test("a client that leaves in the middle of a body nobody reads takes its connection with it", async () => {
  handler = async (exchange) => exchange.send(400, {}, "no");
  const client = new Client();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  await client.has("no");
  client.socket.end();
  const began = performance.now();
  await listener.close(60_000);
  expect(performance.now() - began).toBeLessThan(30_000);
});

test("a TLS handshake on a plain port is answered at once, not waited for", async () => {
  const client = new Client();
  client.socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
  expect(await client.has("HTTPS")).toStartWith("HTTP/1.1 400 ");
});
