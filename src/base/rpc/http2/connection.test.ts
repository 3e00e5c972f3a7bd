import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../lib/log.ts";
import { BytesMessage } from "../../spec/buildkit/session.gen.ts";
import type { ByteStream } from "../bytes.ts";
import { openRpc } from "../client.ts";
import { bidi, serveRpc, unary } from "../server.ts";
import { joined } from "../testdata/joined.ts";
import { method, of } from "../testdata/test-service.ts";
import {
  Flag,
  FrameReader,
  FrameType,
  frame,
  numbersFrame,
  preface,
  Reason,
  Setting,
  settingsFrame,
} from "./frames.ts";
import { encodeFields } from "./hpack.ts";

const echo = unary(method("Echo"), async (request) => request);
const all = bidi(method("All"), async (stream) => {
  for (let m = await stream.next(); m !== undefined; m = await stream.next()) await stream.send(m);
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "tug-http2-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "sock");
}

function overSocket(socket: net.Socket): ByteStream {
  const chunks = socket[Symbol.asyncIterator]();
  socket.on("error", () => undefined); // reading ends
  return {
    next: async () => {
      const { value, done } = await chunks.next();
      return done ? undefined : value;
    },
    write: (bytes) =>
      new Promise((resolve, reject) =>
        socket.write(Buffer.from(bytes), (error) => (error ? reject(error) : resolve())),
      ),
    end: () => void socket.end(),
    close: () => void socket.destroy(),
  };
}

const large = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251));

describe("HTTP/2 with node's as the peer", () => {
  test("a caller is answered, whatever its header fields are coded as and however small its window is", async () => {
    const path = socketPath();
    let seen: readonly string[] = [];
    const told = unary(method("Told"), async (request, { metadata }) => {
      seen = metadata["x-ascii"] ?? [];
      return request;
    });
    const server = net.createServer((socket) => {
      void serveRpc(overSocket(socket), { services: [told, all], log: silentLog });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    cleanups.push(() => server.close());
    const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join("x");
    for (const initialWindowSize of [65_535, 1_000]) {
      const session = http2.connect("http://localhost", {
        createConnection: () => net.connect(path),
        settings: { initialWindowSize },
      });
      for (const name of ["Told", "All"]) {
        const message = BytesMessage.encode(of(large)).finish();
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(message.length, 1);
        const call = session.request({
          ":method": "POST",
          ":path": `/test.Service/${name}`,
          "content-type": "application/grpc",
          "x-ascii": ascii,
        });
        const trailers = Promise.withResolvers<http2.IncomingHttpHeaders>();
        call.on("trailers", (fields) => trailers.resolve(fields));
        call.end(Buffer.concat([prefix, message]));
        const chunks: Buffer[] = [];
        for await (const chunk of call) chunks.push(chunk);
        expect((await trailers.promise)["grpc-status"]).toBe("0");
        const reply = BytesMessage.decode(Buffer.concat(chunks).subarray(5));
        expect(Buffer.compare(reply.data, large)).toBe(0);
      }
      expect(seen).toEqual([ascii]);
      session.destroy();
    }
  });

  test("calls are answered by it, side by side and larger than its window", async () => {
    const path = socketPath();
    const server = http2.createServer({ settings: { initialWindowSize: 5_000 } });
    server.on("stream", (stream: http2.ServerHttp2Stream) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.concat(chunks));
      });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    cleanups.push(() => server.close());
    const client = openRpc(overSocket(net.connect(path)));
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.call(method("Any"), of(large.subarray(i)))),
    );
    expect(replies.every((reply, i) => Buffer.compare(reply.data, large.subarray(i)) === 0)).toBe(true);
    await client[Symbol.asyncDispose]();
  });
});

const request = (id: number, flags: number = Flag.endHeaders, path = "/test.Service/All") =>
  frame(
    FrameType.headers,
    flags,
    id,
    encodeFields([":method", "POST", ":scheme", "http", ":path", path, "content-type", "application/grpc"]),
  );
const start = Buffer.concat([preface, settingsFrame({})]);

/** Says these bytes to a server, and `ends` or waits; gives the code of its GOAWAY, or "open" when it takes another call. */
async function answerTo(bytes: Uint8Array, ends = false): Promise<number | "open" | "closed"> {
  const [near, far] = joined(64 << 20);
  const served = serveRpc(far, { services: [all, echo], log: silentLog });
  let answer: number | "open" | "closed" = "closed";
  await near.write(bytes).catch(() => undefined); // it may have had enough
  await near.write(frame(FrameType.ping, 0, 0, Buffer.from("the last"))).catch(() => undefined); // as above
  if (ends) near.end();
  const reader = new FrameReader({
    header: () => undefined,
    data: () => undefined,
    frame: ({ type, flags }, payload) => {
      if (type === FrameType.goAway) answer = payload.readUInt32BE(4);
      if (type === FrameType.ping && flags === Flag.ack && payload.toString() === "the last") answer = "open";
    },
  });
  while (answer === "closed") {
    const chunk = await near.next();
    if (!chunk) break;
    reader.push(chunk);
  }
  near.close();
  await served;
  return answer;
}

describe("a peer that does harm", () => {
  test("is told what it did wrong and cut off", async () => {
    const padded = (length: number, padding: number) => {
      const payload = Buffer.alloc(length);
      payload[0] = padding;
      return payload;
    };
    const harm: Record<string, readonly [Uint8Array, number]> = {
      "no settings first": [
        Buffer.concat([preface, frame(FrameType.ping, 0, 0, Buffer.alloc(8))]),
        Reason.protocol,
      ],
      "a frame that is too large": [Buffer.from("ffffff000000000001", "hex"), Reason.frameSize],
      "settings that are too many": [frame(FrameType.settings, 0, 0, Buffer.alloc(18_000)), Reason.frameSize],
      "settings that are cut off": [frame(FrameType.settings, 0, 0, Buffer.alloc(7)), Reason.frameSize],
      "a window that overflows": [settingsFrame({ [Setting.windowSize]: 2 ** 31 }), Reason.flowControl],
      "frames of no size": [settingsFrame({ [Setting.maxFrameSize]: 0 }), Reason.protocol],
      "content of an idle stream": [frame(FrameType.data, 0, 1), Reason.protocol],
      "a reset of an idle stream": [numbersFrame(FrameType.reset, 5, 0), Reason.protocol],
      "room for an idle stream": [numbersFrame(FrameType.windowUpdate, 5, 1), Reason.protocol],
      "no room": [numbersFrame(FrameType.windowUpdate, 0, 0), Reason.flowControl],
      "too much room": [numbersFrame(FrameType.windowUpdate, 0, 2 ** 31 - 1), Reason.flowControl],
      "a request of even number": [request(2), Reason.protocol],
      "a request of the connection": [request(0), Reason.protocol],
      "a push": [frame(FrameType.push, Flag.endHeaders, 1, Buffer.alloc(4)), Reason.protocol],
      "an odd ping": [frame(FrameType.ping, 0, 0, Buffer.alloc(7)), Reason.frameSize],
      "a ping of a stream": [frame(FrameType.ping, 0, 1, Buffer.alloc(8)), Reason.protocol],
      "no beginning": [frame(FrameType.continuation, Flag.endHeaders, 1), Reason.protocol],
      "a frame within a block": [
        Buffer.concat([request(1, 0), frame(FrameType.ping, 0, 0, Buffer.alloc(8))]),
        Reason.protocol,
      ],
      "a block without end": [
        Buffer.concat([
          request(1, 0),
          ...Array.from({ length: 300 }, () => frame(FrameType.continuation, 0, 1)),
        ]),
        Reason.enhanceYourCalm,
      ],
      "a block that is too large": [
        Buffer.concat([
          request(1, 0),
          ...Array.from({ length: 10 }, () => frame(FrameType.continuation, 0, 1, Buffer.alloc(200_000))),
        ]),
        Reason.enhanceYourCalm,
      ],
      "a block that is none": [
        frame(FrameType.headers, Flag.endHeaders, 1, Buffer.of(0x80)),
        Reason.compression,
      ],
      "padding beyond the block": [frame(FrameType.headers, Flag.padded, 1, padded(4, 4)), Reason.protocol],
      "padding beyond the content": [
        Buffer.concat([request(1), frame(FrameType.data, Flag.padded, 1, padded(4, 4))]),
        Reason.protocol,
      ],
      "padding without a length": [
        Buffer.concat([request(1), frame(FrameType.data, Flag.padded, 1)]),
        Reason.frameSize,
      ],
      "calls begun and given up": [
        Buffer.concat(
          Array.from({ length: 3_000 }, (_, i) =>
            Buffer.concat([request(2 * i + 1), numbersFrame(FrameType.reset, 2 * i + 1, Reason.cancel)]),
          ),
        ),
        Reason.enhanceYourCalm,
      ],
      "questions whose answers it does not read": [
        Buffer.concat(Array.from({ length: 300_000 }, () => frame(FrameType.ping, 0, 0, Buffer.alloc(8)))),
        Reason.enhanceYourCalm,
      ],
    };
    for (const [name, [bytes, reason]] of Object.entries(harm)) {
      const whole = name === "no settings first" ? bytes : Buffer.concat([start, bytes]);
      expect({ name, answer: await answerTo(whole) }).toEqual({ name, answer: reason });
    }
  });

  test("is borne with where the protocol says so", async () => {
    const borne: Record<string, readonly Uint8Array[]> = {
      "an unknown frame": [Buffer.from("00000bfe000000000768656c6c6f20776f726c64", "hex")],
      "an unknown setting": [settingsFrame({ 65520: 1 })],
      priorities: [request(1), frame(FrameType.priority, 0, 1, Buffer.alloc(5))],
      "what was on the way when it gave up": [
        request(1),
        numbersFrame(FrameType.reset, 1, Reason.cancel),
        frame(FrameType.data, 0, 1, Buffer.alloc(100)),
        numbersFrame(FrameType.windowUpdate, 1, 5),
        numbersFrame(FrameType.reset, 1, Reason.cancel),
      ],
      "content after its end": [
        request(1, Flag.endHeaders | Flag.endStream),
        frame(FrameType.data, 0, 1, Buffer.alloc(9)),
      ],
      "more than a stream's room": [
        request(1),
        ...Array.from({ length: 6 }, () => frame(FrameType.data, 0, 1, Buffer.alloc(250_000))),
      ],
      "no room for a stream": [request(1), numbersFrame(FrameType.windowUpdate, 1, 0)],
      "more calls than it may have": Array.from({ length: 400 }, (_, i) => request(2 * i + 1)),
      "fields that are too long": [
        frame(
          FrameType.headers,
          Flag.endHeaders,
          1,
          Buffer.concat([
            Buffer.from([0x40, 1, 0x78, 0x7f, 0x80 + 41, 30]),
            Buffer.alloc(4008, 97),
            Buffer.alloc(1000, 0xbe),
          ]),
        ),
      ],
      "another protocol's request": [
        frame(FrameType.headers, Flag.endHeaders, 1, encodeFields([":method", "GET", ":path", "/"])),
      ],
    };
    for (const [name, frames] of Object.entries(borne))
      expect({ name, answer: await answerTo(Buffer.concat([start, ...frames])) }).toEqual({
        name,
        answer: "open",
      });
  });

  test("of rubbish nothing is left", async () => {
    const seed = Number(process.env["TUG_FUZZ_SEED"] ?? Date.now() % 1_000_000);
    let state = seed;
    const next = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return (state >>> 8) % below;
    };
    const usual = [
      request(1),
      frame(FrameType.data, 0, 1, Buffer.alloc(20)),
      settingsFrame({ 4: 10 }),
      request(3),
    ];
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.concat([start, ...usual, ...usual]);
      for (let flips = 1 + next(10); flips > 0; flips--)
        bytes[start.length + next(bytes.length - start.length)] = next(256);
      expect(["open", "closed", "number"]).toContain(
        await answerTo(bytes, true).then((answer) => (typeof answer === "number" ? "number" : answer)),
      );
    }
  });

  test("that is called: its rubbish ends the calls with an error", async () => {
    for (const bytes of [
      Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
      Buffer.concat([settingsFrame({}), request(2)]),
      Buffer.concat([
        settingsFrame({}),
        frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 1, encodeFields([":status", "502"])),
      ]),
      Buffer.concat([
        settingsFrame({}),
        frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 1, encodeFields([":status", "200"])),
      ]),
      Buffer.concat([settingsFrame({}), frame(FrameType.goAway, 0, 0, Buffer.alloc(8))]),
    ]) {
      const [near, far] = joined();
      const client = openRpc(near);
      const calling = client.call(method("Echo"), of("x"));
      await far.write(bytes);
      await expect(calling).rejects.toMatchObject({ name: "TugError" });
      await client[Symbol.asyncDispose]();
    }
  });
});
