import { expect, test } from "bun:test";
import { silentLog } from "../lib/log.ts";
import { Connection } from "./connection.ts";

/** A wire that remembers the timeouts it was given. */
function recordingWire() {
  const seconds: number[] = [];
  const wire = {
    seconds,
    terminated: false,
    write: (data: Uint8Array) => data.length,
    pause: () => undefined,
    resume: () => undefined,
    shutdown: () => undefined,
    terminate: () => {
      wire.terminated = true;
    },
    timeout: (value: number) => void seconds.push(value),
  };
  return wire;
}

test("a connection is timed while it rests and while a head comes, and not while a request is served", async () => {
  const wire = recordingWire();
  let serve: () => void = () => undefined;
  const connection = new Connection(wire, {
    handler: async (exchange) => {
      await new Promise<void>((resolve) => {
        serve = resolve;
      });
      exchange.send(200, {}, "OK");
    },
    log: silentLog,
    scratch: new Uint8Array(1024),
    limits: { headSeconds: 20, idleSeconds: 120 },
  });
  expect(wire.seconds).toEqual([120]);
  connection.received(Buffer.from("GET / HTTP/1.1\r\n"));
  expect(wire.seconds).toEqual([120, 20]);
  connection.received(Buffer.from("Host: x\r\n\r\n"));
  expect(wire.seconds).toEqual([120, 20, 0]);
  serve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(wire.seconds).toEqual([120, 20, 0, 120]);
  connection.timedOut();
  expect(wire.terminated).toBe(true);
});

test("without limits a resting connection is kept for ever, as dockerd keeps it", () => {
  const wire = recordingWire();
  new Connection(wire, { handler: async () => undefined, log: silentLog, scratch: new Uint8Array(1024) });
  expect(wire.seconds).toEqual([]);
});
