import { isCode } from "../../../../base/lib/errors.ts";
import type { RpcClient } from "../../../../base/rpc/client.ts";
import { Code, RpcError } from "../../../../base/rpc/status.ts";
import { pieceBytes } from "../../../../base/rpc/stream.ts";
import type { LentBlob } from "../../../../base/spec/builder/session.ts";
import { Content, storeKey, writeAction } from "../../../../base/spec/buildkit/methods.ts";

/** A blob of one of the client's content stores. */
export function readBlob(
  rpc: RpcClient,
  store: string,
  digest: string,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const replies = rpc.replies(
    Content.read,
    { digest, offset: 0n, size: 0n },
    { metadata: { [storeKey]: [store] }, signal },
  );
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { value, done } = await replies.next();
      if (done) controller.close();
      else controller.enqueue(value.data);
    },
    cancel: async () => void (await replies.return()),
  });
}

/**
 * Writes a blob into one of the client's content stores, as containerd's clients do (services/content/v1, Write): each message is answered with
 * how far the store is. What it has already is not sent again.
 */
export async function writeBlob(
  rpc: RpcClient,
  store: string,
  { digest, size, open }: LentBlob,
  signal: AbortSignal,
): Promise<void> {
  const call = rpc.open(Content.write, { metadata: { [storeKey]: [store] }, signal });
  const common = { ref: `tug-${digest}`, total: BigInt(size), expected: digest };
  const exchange = async (action: number, offset: bigint, data: Uint8Array) => {
    // What fails is told by the answer.
    call.send({ ...common, action, offset, data }).catch(() => undefined);
    const reply = await call.next();
    if (!reply) throw new RpcError(Code.unavailable, `the client ended the transfer of ${digest}`);
    return reply.offset;
  };
  try {
    const nothing = new Uint8Array();
    // What an earlier transfer left in its store is written over.
    await exchange(writeAction.stat, 0n, nothing);
    let offset = 0n;
    for await (const chunk of open()) {
      for (let at = 0; at < chunk.length; at += pieceBytes)
        offset = await exchange(writeAction.write, offset, chunk.subarray(at, at + pieceBytes));
    }
    await exchange(writeAction.commit, offset, nothing);
    call.end();
  } catch (error) {
    if (!isAlreadyThere(error)) throw error;
  } finally {
    call.cancel();
  }
}

function isAlreadyThere(error: unknown): boolean {
  return isCode(error, "conflict") && error instanceof RpcError && error.status === Code.alreadyExists;
}
