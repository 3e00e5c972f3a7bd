import { messageOf, TugError } from "../../lib/errors.ts";
import type { RpcStream } from "../stream.ts";
import { fileType, isType, type TreeEntry, WalkOrder } from "./entry.ts";
import { packet, type TreePacket, PacketType as Type } from "./packet.ts";

/** What a received tree is compared with and written to. */
export interface TreeTarget {
  /** Told of every entry in walking order; says whether its content is wanted (a regular file that is new or changed). */
  entry(entry: TreeEntry): boolean | Promise<boolean>;
  /** The content of a wanted file, in pieces; the last one is marked and may be empty. */
  content(path: string, bytes: Uint8Array, last: boolean): Promise<void>;
  /** All entries were told, all wanted content came. */
  finish(): Promise<void>;
}

/** Files that are asked for and not there yet: enough to keep the sender busy, and its queue is 128. */
const window = 256;

/** `onProgress` is told this often, in bytes. */
const progressStep = 32 * 1024;

/** Brings a peer's tree into `target`; `onProgress` hears of the bytes that came so far, names included. Throws what the peer or the target failed with; the peer is told. */
export async function receiveTree(
  stream: RpcStream<TreePacket, TreePacket>,
  target: TreeTarget,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<void> {
  const receiver = new Receiver(stream, target, onProgress);
  try {
    await receiver.run();
  } catch (error) {
    const data = Buffer.from(messageOf(error));
    await stream.send(packet({ type: Type.ERR, data })).catch(() => undefined); // it is gone
    throw error;
  }
}

class Receiver {
  readonly #stream: RpcStream<TreePacket, TreePacket>;
  readonly #target: TreeTarget;
  readonly #onProgress: (bytes: number) => void;
  readonly #order = new WalkOrder();
  /** Wanted files that were not asked for yet. */
  readonly #queue: { readonly id: number; readonly path: string }[] = [];
  #queueAt = 0;
  /** Those that were, by id. */
  readonly #pending = new Map<number, string>();
  #entries = 0;
  #told = 0;
  #complete = false;
  #finished = false;

  constructor(
    stream: RpcStream<TreePacket, TreePacket>,
    target: TreeTarget,
    onProgress: (bytes: number) => void,
  ) {
    this.#stream = stream;
    this.#target = target;
    this.#onProgress = onProgress;
  }

  async run(): Promise<void> {
    for (
      let p = await this.#stream.next();
      p !== undefined;
      p = this.#stream.nextNow() ?? (await this.#stream.next())
    ) {
      if (this.#stream.received - this.#told > progressStep) {
        this.#told = this.#stream.received;
        this.#onProgress(this.#told);
      }
      switch (p.type) {
        case Type.STAT: {
          const answer = this.#stat(p.entry);
          if (answer) await answer;
          break;
        }
        case Type.DATA:
          await this.#data(p);
          break;
        case Type.FIN:
          if (!this.#finished) throw new TugError("invalid-argument", "the sender ended the transfer early");
          return;
        case Type.ERR:
          throw new TugError("unavailable", `error from sender: ${Buffer.from(p.data).toString()}`);
        default:
          throw new TugError("invalid-argument", `unexpected packet ${p.type} in the transfer`);
      }
      if (this.#complete && !this.#finished && this.#pending.size === 0) {
        this.#finished = true;
        this.#onProgress(this.#stream.received);
        await this.#target.finish();
        await this.#stream.send(packet({ type: Type.FIN }));
      }
    }
    throw new TugError("unavailable", "the sender ended the transfer early");
  }

  /** Waits only where the target does. */
  #stat(entry: TreeEntry | undefined): Promise<void> | undefined {
    if (this.#complete) throw new TugError("invalid-argument", "an entry came after the last one");
    if (!entry) {
      this.#complete = true;
      return undefined;
    }
    this.#order.check(entry);
    const id = this.#entries++;
    const want = (wanted: boolean) => {
      if (!wanted || !isType(entry.mode, fileType.regular)) return;
      this.#queue.push({ id, path: entry.path });
      this.#ask();
    };
    const answer = this.#target.entry(entry);
    if (typeof answer !== "boolean") return answer.then(want);
    want(answer);
    return undefined;
  }

  async #data(p: TreePacket): Promise<void> {
    const path = this.#pending.get(p.id);
    if (path === undefined) throw new TugError("invalid-argument", `invalid file request ${p.id}`);
    const last = p.data.length === 0;
    if (last) {
      this.#pending.delete(p.id);
      this.#ask();
    }
    await this.#target.content(path, p.data, last);
  }

  /** Not waited for: while the sender does not read, its data must be. The window bounds what piles up. */
  #ask(): void {
    while (this.#pending.size < window) {
      const next = this.#queue[this.#queueAt];
      if (!next) {
        this.#queue.length = 0;
        this.#queueAt = 0;
        return;
      }
      this.#queueAt++;
      this.#pending.set(next.id, next.path);
      this.#stream.send(packet({ type: Type.REQ, id: next.id })).catch(() => undefined); // `next` says why
    }
  }
}
