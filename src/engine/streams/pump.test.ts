import { expect, test } from "bun:test";
import type { OutputPacket, TaskStreams } from "../../core/runtime/runtime.ts";
import type { StreamClient } from "./client.ts";
import { pump } from "./pump.ts";

/** A process that takes its input or does not, and prints what the test enqueues. */
function process(write: (bytes: Uint8Array) => Promise<void>) {
  const { promise: disposed, resolve } = Promise.withResolvers<void>();
  let open = true;
  const streams: TaskStreams = {
    output: new ReadableStream<OutputPacket>({
      cancel: () => {
        open = false;
      },
    }),
    write: async (bytes) => {
      if (open) await write(bytes);
    },
    closeStdin: async () => undefined,
    [Symbol.asyncDispose]: async () => resolve(),
  };
  return { streams, disposed };
}

/** A client that sent these chunks and hung up, all before anybody looked. */
function goneClient(...sent: string[]): StreamClient {
  const chunks = sent.map((text) => Buffer.from(text));
  return {
    stdin: new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          const next = chunks.shift();
          if (next) controller.enqueue(next);
          else controller.error(new Error("the client is gone"));
        },
      },
      { highWaterMark: 0 },
    ),
    write: () => Promise.reject(new Error("the client is gone")),
    writeEncoded: () => Promise.reject(new Error("the client is gone")),
    begin: () => undefined,
    signal: AbortSignal.abort(),
  };
}

const options = { stdin: true, stdout: true, stderr: true, closeStdin: false, detachKeys: undefined };

test("what a client sent before it hung up still goes in", async () => {
  let taken = "";
  const { streams } = process(async (bytes) => {
    taken += Buffer.from(bytes).toString();
  });
  expect(await pump(streams, goneClient("MARK=", "here\r"), options)).toBe("gone");
  expect(taken).toBe("MARK=here\r");
});

test("a process that does not read its input is not waited for without end", async () => {
  const { streams, disposed } = process(() => new Promise(() => undefined));
  expect(await pump(streams, goneClient("more"), options)).toBe("gone");
  await disposed;
});
