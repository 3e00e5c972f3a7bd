import { expect, test } from "bun:test";
import type { TaskStreams } from "../../../core/runtime/runtime.ts";
import { pendingStreams } from "./pending.ts";

function streamsToCome() {
  const { promise, resolve } = Promise.withResolvers<TaskStreams>();
  let closed = false;
  const streams: TaskStreams = {
    output: new ReadableStream(),
    write: async () => undefined,
    closeStdin: async () => undefined,
    [Symbol.asyncDispose]: async () => {
      closed = true;
    },
  };
  return { attach: () => promise, come: () => resolve(streams), streams, closed: () => closed };
}
const unexpected = (error: unknown) => {
  throw error;
};

test("streams that come after their client went away are closed", async () => {
  const run = streamsToCome();
  const client = new AbortController();
  const pending = pendingStreams(run.attach, client.signal, unexpected);
  const connected = pending.attachment.connect();
  client.abort();
  expect(await pending.streams).toBeUndefined();
  run.come();
  await connected;
  expect(run.closed()).toBe(true);
});

test("a client that stays gets the streams, one that is gone connects to nothing", async () => {
  const run = streamsToCome();
  const pending = pendingStreams(run.attach, new AbortController().signal, unexpected);
  run.come();
  await pending.attachment.connect();
  expect(await pending.streams).toBe(run.streams);
  expect(run.closed()).toBe(false);
  let asked = false;
  const attach = async () => {
    asked = true;
    return run.streams;
  };
  const late = pendingStreams(attach, AbortSignal.abort(), unexpected);
  await late.attachment.connect();
  expect(await late.streams).toBeUndefined();
  expect(asked).toBe(false);
});

test("what fails is told of, and the client hears that nothing comes", async () => {
  const failures: unknown[] = [];
  const attach = () => Promise.reject(new Error("no monitor"));
  const pending = pendingStreams(attach, new AbortController().signal, (error) => failures.push(error));
  await pending.attachment.connect();
  expect(await pending.streams).toBeUndefined();
  expect(failures).toHaveLength(1);
});
