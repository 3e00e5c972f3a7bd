import { drained, type RpcClient } from "../../../../base/rpc/client.ts";
import { pieceBytes } from "../../../../base/rpc/stream.ts";
import { directoryTree } from "../../../../base/rpc/tree/directory.ts";
import { fileType, isType } from "../../../../base/rpc/tree/entry.ts";
import { sendingMethod } from "../../../../base/rpc/tree/packet.ts";
import { sendTree, type TreeSource } from "../../../../base/rpc/tree/send.ts";
import type { SessionExports } from "../../../../base/spec/builder/session.ts";
import { FileSend, fileKeys } from "../../../../base/spec/buildkit/methods.ts";

/** Outputs that the client takes. */
export class RemoteExports implements SessionExports {
  readonly #rpc: RpcClient;
  readonly #signal: AbortSignal;

  constructor(rpc: RpcClient, signal: AbortSignal) {
    this.#rpc = rpc;
    this.#signal = signal;
  }

  async tree(exporter: string, root: string, { signal, ...look }: TreeOptions): Promise<void> {
    const metadata = { [fileKeys.exporter]: [exporter || "0"], [fileKeys.multiPlatform]: ["1"] };
    const call = this.#rpc.open(sendingMethod(FileSend.tree), {
      metadata,
      signal: AbortSignal.any([signal, this.#signal]),
    });
    try {
      const everything = { include: [], exclude: [], follow: [], owner: "keep" } as const;
      const source = directoryTree(root, everything);
      await sendTree(call, shownAs(source, look));
      call.end();
      await drained(call);
    } finally {
      call.cancel();
    }
  }

  async file(
    exporter: string,
    attributes: Readonly<Record<string, string>>,
    bytes: ReadableStream<Uint8Array>,
  ): Promise<void> {
    const metadata: Record<string, readonly string[]> = { [fileKeys.exporter]: [exporter || "0"] };
    for (const [name, value] of Object.entries(attributes)) {
      // Attributes are names of Docker's own; what is no header field cannot be told.
      if (/^[\w.-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value))
        metadata[`${fileKeys.exporterMeta}${name.toLowerCase()}`] = [value];
    }
    const call = this.#rpc.open(FileSend.bytes, { metadata, signal: this.#signal });
    try {
      for await (const chunk of bytes) {
        for (let at = 0; at < chunk.length; at += pieceBytes)
          await call.send({ data: chunk.subarray(at, at + pieceBytes) });
      }
      call.end();
      await drained(call);
    } finally {
      call.cancel();
    }
  }
}

type TreeOptions = Parameters<SessionExports["tree"]>[2];

/** With the time of SOURCE_DATE_EPOCH for every entry, as BuildKit has it (exporter/local), and other modes. */
function shownAs(source: TreeSource, { epoch, fileMode }: Omit<TreeOptions, "signal">): TreeSource {
  if (epoch === undefined && fileMode === undefined) return source;
  const time = epoch === undefined ? {} : { mtime: BigInt(epoch) * 1_000_000_000n };
  return {
    *walk() {
      for (const entry of source.walk()) {
        const file = fileMode !== undefined && isType(entry.mode, fileType.regular);
        yield { ...entry, ...time, ...(file && { mode: fileType.regular | fileMode }) };
      }
    },
    open: (path) => source.open(path),
  };
}
