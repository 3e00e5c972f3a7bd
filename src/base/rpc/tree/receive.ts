import { messageOf, TugError } from "../../lib/errors.ts";
import { FrameDecoder, FrameWriter, prefixLength } from "../framing.ts";
import { maxMessageBytes, type RpcStream } from "../stream.ts";
import { fileType, isType, type TreeEntry, WalkOrder } from "./entry.ts";
import { packet, type TreePacket, PacketType as Type, treePackets } from "./packet.ts";

/** What a received tree is compared with and written to. */
export interface TreeTarget {
  /** Told of every entry in walking order; says whether its content is wanted (a regular file that is new or changed). */
  entry(entry: TreeEntry): boolean;
  /** See `ContextTarget`. */
  readonly lately?: Uint8Array | undefined;
  unchanged?(): void;
  remember?(told: Uint8Array): void;
  /** The content of a wanted file, in pieces; the last one is marked and may be empty. */
  content(path: string, bytes: Uint8Array, last: boolean): Promise<void>;
  /** All entries were told, all wanted content came. */
  finish(): Promise<void>;
}

/** Files that are asked for and not there yet: enough to keep the sender busy, and its queue is 128. */
const window = 256;
/** What was told is remembered up to this size. */
const maxRemembered = 16 << 20;

/** `onProgress` is told this often, in bytes. */
const progressStep = 32 * 1024;

/**
 * Brings a peer's tree into `target`; `onProgress` hears of the bytes that came so far, names included. Throws what the peer or the target failed
 * with; the peer is told. `onWhole` is called when everything is there: what follows is the peer's farewell.
 */
export async function receiveTree(
  stream: RpcStream<Uint8Array, TreePacket>,
  target: TreeTarget,
  onProgress: (bytes: number) => void = () => undefined,
  onWhole: () => void = () => undefined,
): Promise<void> {
  const receiver = new Receiver(stream, target, onProgress, onWhole);
  try {
    await receiver.run();
  } catch (error) {
    const data = Buffer.from(messageOf(error));
    await stream.send(packet({ type: Type.ERR, data })).catch(() => undefined); // it is gone
    throw error;
  }
}

class Receiver {
  readonly #stream: RpcStream<Uint8Array, TreePacket>;
  readonly #target: TreeTarget;
  readonly #onProgress: (bytes: number) => void;
  readonly #onWhole: () => void;
  readonly #order = new WalkOrder();
  /** Wanted files that were not asked for yet. */
  readonly #queue: { readonly id: number; readonly path: string }[] = [];
  #queueAt = 0;
  /** Those that were, by id. */
  readonly #pending = new Map<number, string>();
  #entries = 0;
  /** As long as everything comes as it did lately: of that, how far it came. */
  #lately: Buffer | undefined;
  #latelyAt = 0;
  #told: FrameWriter | undefined;
  #toldBytes = 0;
  #complete = false;
  #finished = false;

  constructor(
    stream: RpcStream<Uint8Array, TreePacket>,
    target: TreeTarget,
    onProgress: (bytes: number) => void,
    onWhole: () => void,
  ) {
    this.#stream = stream;
    this.#target = target;
    this.#onProgress = onProgress;
    this.#onWhole = onWhole;
    const { lately } = target;
    if (lately && lately.length > 0)
      this.#lately = Buffer.from(lately.buffer, lately.byteOffset, lately.byteLength);
    if (target.remember) this.#told = new FrameWriter();
  }

  async run(): Promise<void> {
    for (
      let bytes = await this.#stream.next();
      bytes !== undefined;
      bytes = this.#stream.nextNow() ?? (await this.#stream.next())
    ) {
      if (this.#stream.received - this.#toldBytes > progressStep) {
        this.#toldBytes = this.#stream.received;
        this.#onProgress(this.#toldBytes);
      }
      if (!this.#isAsLately(bytes)) {
        const p = treePackets.decode(bytes);
        if (p.type === Type.FIN && this.#finished) return;
        if (p.type === Type.STAT) this.#stat(p.entry, bytes);
        else if (p.type === Type.DATA) await this.#data(p);
        else this.#refuse(p);
      }
      if (this.#complete && !this.#finished && this.#pending.size === 0) await this.#finish();
    }
    throw new TugError("unavailable", "the sender ended the transfer early");
  }

  #refuse({ type, data }: TreePacket): never {
    if (type === Type.FIN) throw new TugError("invalid-argument", "the sender ended the transfer early");
    if (type === Type.ERR)
      throw new TugError("unavailable", `error from sender: ${Buffer.from(data).toString()}`);
    throw new TugError("invalid-argument", `unexpected packet ${type} in the transfer`);
  }

  async #finish(): Promise<void> {
    this.#finished = true;
    this.#onProgress(this.#stream.received);
    if (this.#lately) this.#target.unchanged?.();
    else if (this.#told) this.#target.remember?.(this.#told.take());
    await this.#target.finish();
    const sent = this.#stream.send(packet({ type: Type.FIN }));
    this.#onWhole();
    await sent;
  }

  /** Whether the next packet is what it was the last time. With the first one that is not, those before it are read after all. */
  #isAsLately(bytes: Uint8Array): boolean {
    const lately = this.#lately;
    if (!lately || this.#complete) return false;
    const at = this.#latelyAt;
    const end = at + prefixLength + bytes.length;
    if (
      end <= lately.length &&
      lately.readUInt32BE(at + 1) === bytes.length &&
      Buffer.compare(bytes, lately.subarray(at + prefixLength, end)) === 0
    ) {
      this.#latelyAt = end;
      this.#complete = end === lately.length;
      return true;
    }
    this.#lately = undefined;
    const decoder = new FrameDecoder(maxMessageBytes);
    decoder.push(lately.subarray(0, at), (told) => this.#stat(treePackets.decode(told).entry, told));
    return false;
  }

  #stat(entry: TreeEntry | undefined, bytes: Uint8Array): void {
    if (this.#complete) throw new TugError("invalid-argument", "an entry came after the last one");
    this.#told?.append(bytes);
    if (this.#told && this.#told.length > maxRemembered) this.#told = undefined;
    if (!entry) {
      this.#complete = true;
      return;
    }
    this.#order.check(entry);
    const id = this.#entries++;
    if (!this.#target.entry(entry) || !isType(entry.mode, fileType.regular)) return;
    this.#queue.push({ id, path: entry.path });
    this.#ask();
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
