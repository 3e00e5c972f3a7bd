import { describe, expect, test } from "bun:test";
import { TugError } from "../lib/errors.ts";
import { silentLog } from "../lib/log.ts";
import type { BytesMessage } from "../spec/buildkit/session.gen.ts";
import { openRpc } from "./client.ts";
import type { Metadata } from "./metadata.ts";
import { bidi, type Service, serveRpc, serverStream, unary } from "./server.ts";
import { Code, RpcError } from "./status.ts";
import { joined } from "./testdata/joined.ts";
import { method, of } from "./testdata/test-service.ts";

const text = (message: BytesMessage | undefined) => Buffer.from(message?.data ?? []).toString();

function connected(services: readonly Service[]) {
  const [near, far] = joined();
  const served = serveRpc(far, { services, log: silentLog });
  const client = openRpc(near);
  return {
    client,
    served,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await served;
    },
  };
}

describe("rpc", () => {
  test("a unary call carries its message, its metadata with repeated fields, and the reply", async () => {
    let seen: Metadata = {};
    await using peer = connected([
      unary(method("Echo"), async (request, context) => {
        seen = context.metadata;
        return request;
      }),
    ]);
    const metadata = { "include-patterns": ["a,b", "c"], "dir-name": ["context"] };
    const reply = await peer.client.call(method("Echo"), of("hello"), { metadata });
    expect(text(reply)).toBe("hello");
    expect(seen["include-patterns"]).toEqual(["a,b", "c"]);
    expect(seen["dir-name"]).toEqual(["context"]);
    expect(seen["te"]).toBeUndefined();
  });

  test("an error comes with code, message in any script, and details", async () => {
    const detail = { typeUrl: "github.com/moby/buildkit/errdefs.Vertex+json", value: Buffer.from("{}") };
    await using peer = connected([
      unary(method("Rpc"), async () => {
        throw new RpcError(Code.notFound, "näh: 100%\n", [detail]);
      }),
      unary(method("Own"), async () => {
        throw new TugError("forbidden", "denied");
      }),
    ]);
    const failure = await peer.client.call(method("Rpc"), of("")).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RpcError);
    expect(failure).toMatchObject({ status: Code.notFound, code: "not-found", message: "näh: 100%\n" });
    expect(failure instanceof RpcError && failure.details[0]?.typeUrl).toBe(detail.typeUrl);
    await expect(peer.client.call(method("Own"), of(""))).rejects.toMatchObject({ code: "forbidden" });
    await expect(peer.client.call(method("Nobody"), of(""))).rejects.toMatchObject({
      code: "not-implemented",
      message: "unknown method /test.Service/Nobody",
    });
  });

  test("both directions stream, and the caller's end is seen while replies go on", async () => {
    await using peer = connected([
      bidi(method("Count"), async (stream) => {
        let count = 0;
        for (let m = await stream.next(); m !== undefined; m = await stream.next()) count++;
        for (let i = 0; i < count; i++) await stream.send(of(String(i)));
      }),
    ]);
    const call = peer.client.open(method("Count"));
    for (let i = 0; i < 5000; i++) await call.send(of("x"));
    call.end();
    let replies = 0;
    for (let m = await call.next(); m !== undefined; m = await call.next()) {
      expect(text(m)).toBe(String(replies));
      replies++;
    }
    expect(replies).toBe(5000);
  });

  test("a sender waits for a reader that does not read", async () => {
    const release = Promise.withResolvers<void>();
    const total = Promise.withResolvers<number>();
    await using peer = connected([
      bidi(method("Slow"), async (stream) => {
        await release.promise;
        let bytes = 0;
        for (let m = await stream.next(); m !== undefined; m = await stream.next()) bytes += m.data.length;
        total.resolve(bytes);
      }),
    ]);
    const call = peer.client.open(method("Slow"));
    const piece = { data: new Uint8Array(64 * 1024) };
    let sent = 0;
    let blocked = false;
    const sending = (async () => {
      for (; sent < 500; sent++) await call.send(piece);
      call.end();
    })();
    // It stands still when a turn of the event loop brings nothing new several times in a row.
    for (let still = 0, before = -1; still < 20; still = sent === before ? still + 1 : 0) {
      before = sent;
      await Bun.sleep(5);
      blocked = sent < 500;
    }
    expect(blocked).toBe(true);
    release.resolve();
    await sending;
    expect(await total.promise).toBe(500 * 64 * 1024);
  });

  test("whoever gives a call up ends it on both sides, and the connection goes on", async () => {
    const cancelled = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using peer = connected([
      serverStream(method("Wait"), async (_request, send, { signal }) => {
        signal.addEventListener("abort", () => cancelled.resolve());
        await send(of("first"));
        begun.resolve();
        await cancelled.promise;
      }),
      unary(method("Echo"), async (request) => request),
    ]);
    const abort = new AbortController();
    const replies = peer.client.replies(method("Wait"), of(""), { signal: abort.signal });
    expect(text((await replies.next()).value ?? undefined)).toBe("first");
    await begun.promise;
    abort.abort(new Error("enough"));
    await expect(replies.next()).rejects.toMatchObject({ code: "cancelled" });
    await cancelled.promise;
    expect(text(await peer.client.call(method("Echo"), of("again")))).toBe("again");
  });

  test("a message that claims to be too large ends its call and no other", async () => {
    await using peer = connected([unary(method("Echo"), async (request) => request)]);
    const large = { data: new Uint8Array(17 * 1024 * 1024) };
    await expect(peer.client.call(method("Echo"), large)).rejects.toMatchObject({
      code: "resource-exhausted",
    });
    expect(text(await peer.client.call(method("Echo"), of("small")))).toBe("small");
  });

  test("calls end with their connection", async () => {
    const gone = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const peer = connected([
      bidi(method("Hold"), async (_stream, { signal }) => {
        signal.addEventListener("abort", () => gone.resolve());
        begun.resolve();
        await gone.promise;
      }),
    ]);
    const call = peer.client.open(method("Hold"));
    await call.send(of("x"));
    await begun.promise;
    peer.client.close();
    await expect(call.next()).rejects.toMatchObject({ code: "unavailable" });
    await gone.promise;
    await peer.served;
    expect(() => peer.client.open(method("Hold"))).toThrow("the connection was closed");
  });

  test("what is not HTTP/2 is cut off", async () => {
    const [near, far] = joined();
    const served = serveRpc(far, { services: [], log: silentLog });
    await near.write(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10)));
    await served;
  });
});
