import type { ByteStream } from "../../../../base/rpc/bytes.ts";
import { first, type Metadata } from "../../../../base/rpc/metadata.ts";
import { bidi, type Service } from "../../../../base/rpc/server.ts";
import type { RpcStream } from "../../../../base/rpc/stream.ts";
import { pieceBytes } from "../../../../base/rpc/stream.ts";
import { Control, sessionHeaders } from "../../../../base/spec/buildkit/methods.ts";
import type { BytesMessage } from "../../../../base/spec/buildkit/session.gen.ts";
import type { SessionHello } from "./hello.ts";
import type { Sessions } from "./sessions.ts";

/** A client's session within its own connection: how buildctl and others that know no Docker open theirs, instead of POST /session. */
export function sessionService(sessions: Sessions): Service {
  return bidi(Control.session, async (stream, { metadata }) => {
    const hello = helloOf(metadata);
    sessions.check(hello);
    await sessions.serve(hello, bytesOf(stream));
  });
}

function helloOf(metadata: Metadata): SessionHello {
  const field = (name: string) => first(metadata, name.toLowerCase()) ?? "";
  return {
    id: field(sessionHeaders.id),
    name: field(sessionHeaders.name),
    sharedKey: field(sessionHeaders.sharedKey),
    methods: metadata[sessionHeaders.method.toLowerCase()] ?? [],
  };
}

function bytesOf(stream: RpcStream<BytesMessage, BytesMessage>): ByteStream {
  const over = Promise.withResolvers<undefined>();
  return {
    next: async () => {
      for (;;) {
        const message = await Promise.race([stream.next(), over.promise]);
        if (!message || message.data.length > 0) return message?.data;
      }
    },
    write: async (bytes) => {
      for (let at = 0; at < bytes.length; at += pieceBytes)
        // The message is sent after this returns, the bytes may be used again by then.
        await stream.send({ data: new Uint8Array(bytes.subarray(at, at + pieceBytes)) });
    },
    end: () => over.resolve(undefined),
    close: () => over.resolve(undefined),
  };
}
