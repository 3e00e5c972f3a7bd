import { expect, test } from "bun:test";
import { silentLog } from "../lib/log.ts";
import { randomNumbers } from "../lib/testdata/random-numbers.ts";
import { Connection } from "./connection.ts";
import type { Handler } from "./exchange.ts";
import type { Wire } from "./outbound.ts";

/** A wire that takes what it is given, sometimes only a part. */
class FakeWire implements Wire {
  terminated = false;
  readonly #random: () => number;
  constructor(random: () => number) {
    this.#random = random;
  }
  write(data: Uint8Array): number {
    if (this.terminated) return -1;
    return this.#random() < 0.3 ? Math.floor(data.length * this.#random()) : data.length;
  }
  pause(): void {
    if (this.terminated) throw new Error("pause after close");
  }
  resume(): void {
    if (this.terminated) throw new Error("resume after close");
  }
  shutdown(): void {
    if (this.terminated) throw new Error("shutdown after close");
  }
  terminate(): void {
    this.terminated = true;
  }
  timeout(): void {
    if (this.terminated) throw new Error("timeout after close");
  }
}

const pieces = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n1234567",
  "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  "POST /stream HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /hijack HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\n\r\n",
  "GET /late HTTP/1.0\r\n\r\n",
  "\r\n",
  "\0",
  "Content-Length: 99999999999999999999\r\n",
  "Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
  "ffffff\r\n",
  "HTTP/1.1",
  " ",
];

const handler: Handler = async (exchange) => {
  if (exchange.path === "/body") {
    exchange.send(200, {}, await exchange.body.bytes(100));
  } else if (exchange.path === "/stream") {
    const reply = exchange.stream(200, {});
    for (let i = 0; i < 5; i++) await reply.write("x".repeat(100));
  } else if (exchange.path === "/hijack") {
    const raw = exchange.hijack(101, {});
    for (let piece = await raw.next(); piece; piece = await raw.next()) await raw.write(piece);
  } else if (exchange.path === "/late") {
    await new Promise((resolve) => setImmediate(resolve));
    exchange.send(200, {}, "late");
  } else exchange.send(200, {}, "ok");
};

test("no input and no order of events breaks a connection", async () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = randomNumbers(seed);
    const wire = new FakeWire(random);
    const connection = new Connection(wire, { handler, log: silentLog, scratch: new Uint8Array(64) });
    for (let step = 0; step < 30 && !wire.terminated; step++) {
      const choice = random();
      if (choice < 0.7) {
        let bytes = Buffer.from(pieces[Math.floor(random() * pieces.length)] ?? "", "latin1");
        if (random() < 0.2) bytes = bytes.subarray(0, Math.floor(random() * bytes.length));
        if (random() < 0.1) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        connection.received(Buffer.from(bytes));
      } else if (choice < 0.85) connection.out.drained();
      else if (choice < 0.87) connection.peerEnded();
      else if (choice < 0.88) connection.timedOut();
      else if (choice < 0.89) connection.closeSoon();
      else await new Promise((resolve) => setImmediate(resolve));
    }
    connection.closed();
    await new Promise((resolve) => setImmediate(resolve));
    expect(connection.out.closed).toBe(true);
  }
});
