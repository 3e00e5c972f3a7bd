import { messageOf, TugError } from "../../lib/errors.ts";
import type { RpcStream } from "../stream.ts";
import { fileType, isType, type TreeEntry } from "./entry.ts";
import { packet, type TreePacket, PacketType as Type } from "./packet.ts";

/** A tree that can be sent. */
export interface TreeSource {
  /** All entries in walking order: parents first, siblings by name. */
  walk(): Iterable<TreeEntry>;
  /** A regular file's content in pieces; the pieces of all files may share their memory. Throws when it is gone. */
  open(path: string): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** Entries before the first turn of the event loop, so that the receiver begins, and between the others, in which requests are read and contents sent. */
const firstPause = 128;
const pause = 512;
const none = new Uint8Array(0);

/**
 * Sends a tree to a peer that says which contents it wants (tonistiigi/fsutil): STAT for each entry, then DATA for each REQ, until its FIN.
 * `onProgress` is told of bytes as they are handed over.
 */
export async function sendTree(
  stream: RpcStream<TreePacket, TreePacket>,
  source: TreeSource,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<void> {
  const paths = new Map<number, string>();
  const wanted: number[] = [];
  let more = Promise.withResolvers<void>();
  let over = false;
  let walked = false;

  const walk = async () => {
    let id = 0;
    for (const entry of source.walk()) {
      if (isType(entry.mode, fileType.regular)) paths.set(id, entry.path);
      const sent = stream.send({ type: Type.STAT, entry, id: 0, data: none });
      if (++id % pause === 0 || id === firstPause) {
        await sent;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
    walked = true;
    await stream.send(packet({}));
  };
  const content = async () => {
    for (;;) {
      const id = wanted.shift();
      if (id === undefined) {
        if (over) return;
        await more.promise;
        continue;
      }
      const path = paths.get(id);
      if (path === undefined) throw new TugError("invalid-argument", `invalid file id ${id}`);
      paths.delete(id);
      for await (const bytes of source.open(path)) {
        await stream.send(packet({ type: Type.DATA, id, data: bytes }));
        onProgress(bytes.length);
      }
      await stream.send(packet({ type: Type.DATA, id }));
    }
  };
  const requests = async () => {
    for (let p = await stream.next(); p !== undefined; p = await stream.next()) {
      if (p.type === Type.ERR)
        throw new TugError("unavailable", `error from receiver: ${Buffer.from(p.data).toString()}`);
      if (p.type === Type.FIN) {
        await stream.send(packet({ type: Type.FIN }));
        return;
      }
      if (p.type !== Type.REQ) continue;
      wanted.push(p.id);
      more.resolve();
      more = Promise.withResolvers<void>();
    }
    if (!walked || wanted.length > 0) throw new TugError("unavailable", "the receiver gave up");
  };
  try {
    const reading = requests().finally(() => {
      over = true;
      more.resolve();
    });
    await Promise.all([walk(), content(), reading]);
  } catch (error) {
    await stream.send(packet({ type: Type.ERR, data: Buffer.from(messageOf(error)) })).catch(() => undefined); // it is gone
    throw error;
  }
}
