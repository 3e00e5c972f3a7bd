import { decodePath } from "../path-bytes.ts";
import {
  BLOCK,
  invalidHeader,
  paddingOf,
  type SparseExtent,
  type TarEntry,
  TarError,
  unexpectedEnd,
} from "./entry.ts";
import {
  checkSparse,
  type Extensions,
  isZeroBlock,
  makeEntry,
  parseHeader,
  paxNumber,
  type RawHeader,
  sparseMap,
  sparseRealSize,
  storedSize,
} from "./header.ts";
import { parsePax, sparsePairs } from "./pax.ts";

/** Receives an archive's members in order. A throw stops the parser. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Bytes of the entry at `offset` of the file; the chunk is only valid during the call. Holes are not told. */
  data(chunk: Uint8Array, offset: number): void;
  /** All data of the entry was delivered. */
  end(): void;
}

/** Extension headers and sparse maps larger than this are refused (Go's archive/tar: maxSpecialFileSize). */
const specialLimit = 1 << 20;

type State = "header" | "special" | "oldSparse" | "paxSparse" | "body" | "padding" | "done";

/**
 * A push parser: feed it chunks of any size, it calls the handler while it runs, holding no more than a header. Synchronous,
 * because a layer has ten thousand small files and an await for each would cost more than making it.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #unpadded: boolean;
  #state: State = "header";
  /** Incomplete block or special header. */
  #held: Buffer[] = [];
  #heldLength = 0;
  /** Bytes that `#held` must reach. */
  #need = BLOCK;
  #special = "";
  #specialSize = 0;
  #zeroBlocks = 0;
  #pax: ReadonlyMap<string, Buffer> = new Map();
  #sparse00: number[] = [];
  #longName: string | undefined;
  #longLink: string | undefined;
  #raw: RawHeader | undefined;
  #realSize = 0;
  #extents: SparseExtent[] = [];
  /** Sparse 1.0: numbers of the map read so far, the line that is not whole yet, and the bytes of both. */
  #sparseLines: number[] = [];
  #sparseText = "";
  #sparseRead = 0;
  /** Data bytes of the current entry still to come, and the padding after them. */
  #left = 0;
  #padding = 0;
  #wholePadding = 0;
  #active: readonly SparseExtent[] | undefined;
  #extent = 0;
  #position = 0;
  /** True once an entry was announced and not ended. */
  #open = false;
  #begun = false;

  /** `unpadded`: the last member, being whole, may have no padding at all, as Go's reader takes it. */
  constructor(handler: TarHandler, options: { readonly unpadded?: boolean } = {}) {
    this.#handler = handler;
    this.#unpadded = options.unpadded === true;
  }

  /** True after the end-of-archive blocks; further bytes are ignored. */
  get done(): boolean {
    return this.#state === "done";
  }

  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (chunk.length > 0) this.#begun = true;
    let at = 0;
    while (at < chunk.length && this.#state !== "done") {
      if (this.#state === "body") {
        at += this.#body(chunk, at);
      } else if (this.#state === "padding") {
        const skip = Math.min(this.#padding, chunk.length - at);
        this.#padding -= skip;
        at += skip;
        if (this.#padding === 0) this.#expect("header", BLOCK);
      } else {
        const take = Math.min(this.#need - this.#heldLength, chunk.length - at);
        const whole = this.#heldLength === 0 && take === this.#need;
        const piece = chunk.subarray(at, at + take);
        at += take;
        if (whole) {
          this.#block(piece);
          continue;
        }
        this.#held.push(Buffer.from(piece));
        this.#heldLength += take;
        if (this.#heldLength < this.#need) continue;
        const block = Buffer.concat(this.#held);
        this.#held = [];
        this.#heldLength = 0;
        this.#block(block);
      }
    }
  }

  /** Says that no more bytes come; throws when the archive stops in the middle. */
  finish(): void {
    if (this.#state === "done") return;
    if (this.#state === "padding" && this.#unpadded && this.#padding === this.#wholePadding) return;
    const between = this.#state === "header" && this.#heldLength === 0 && !this.#hasExtensions();
    if (!between || !this.#begun) throw unexpectedEnd();
  }

  #expect(state: State, need: number): void {
    this.#state = state;
    this.#need = need;
  }

  #hasExtensions(): boolean {
    return this.#pax.size > 0 || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #block(block: Buffer): void {
    switch (this.#state) {
      case "header":
        this.#header(block);
        break;
      case "special":
        this.#specialBody(block.subarray(0, this.#specialSize));
        break;
      case "oldSparse":
        this.#extents.push(...sparseMap(block, 0, 21));
        this.#checkExtentCount();
        if (block[504] === 0) this.#begin();
        break;
      case "paxSparse":
        this.#paxSparse(block);
        break;
      default:
        throw new Error(`tar parser in state ${this.#state}`);
    }
  }

  #header(block: Buffer): void {
    if (block[0] === 0 && isZeroBlock(block)) {
      if (++this.#zeroBlocks === 2) this.#state = "done";
      return;
    }
    // One block of zeros and then something else is what a damaged archive looks like.
    if (this.#zeroBlocks > 0) throw invalidHeader();
    const raw = parseHeader(block);
    if (/[xgLKXNV]/.test(raw.typeflag)) {
      if (raw.size < 0) throw invalidHeader();
      if (raw.size > specialLimit) throw new TarError("archive/tar: header field too long");
      this.#special = raw.typeflag;
      this.#specialSize = raw.size;
      if (raw.size === 0) this.#specialBody(Buffer.alloc(0));
      else this.#expect("special", raw.size + paddingOf(raw.size));
      return;
    }
    this.#raw = raw;
    this.#extents = [];
    this.#sparseLines = [];
    this.#sparseText = "";
    this.#sparseRead = 0;
    this.#left = storedSize(raw, this.#pax);
    this.#realSize = this.#left;
    if (raw.typeflag === "S") {
      this.#realSize = sparseRealSize(block);
      this.#extents = sparseMap(block, 386, 4);
      if (block[482] !== 0) this.#expect("oldSparse", BLOCK);
      else this.#begin();
      return;
    }
    this.#paxSparseHeader(raw);
  }

  #specialBody(body: Buffer): void {
    switch (this.#special) {
      case "x":
      case "X": {
        // The last one before a member counts, as for Go: adding them up would let an archive fill memory.
        this.#pax = parsePax(body);
        this.#sparse00 = this.#pax.has("GNU.sparse.numbytes") ? sparsePairs(body) : [];
        break;
      }
      case "L":
        this.#longName = cString(body);
        break;
      case "K":
        this.#longLink = cString(body);
        break;
      default:
        // "g" (global pax records) is ignored, as Docker ignores it; "V" labels a volume.
        break;
    }
    this.#expect("header", BLOCK);
  }

  /** GNU sparse files in pax format, versions 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files"). */
  #paxSparseHeader(raw: RawHeader): void {
    const pax = this.#pax;
    const file = ["\0", "0", "7"].includes(raw.typeflag);
    const size = paxNumber(pax, "GNU.sparse.realsize") ?? paxNumber(pax, "GNU.sparse.size");
    if (!file || size === undefined) {
      this.#begin();
      return;
    }
    this.#realSize = size;
    if (pax.get("GNU.sparse.major")?.toString() === "1") {
      if (this.#left === 0) throw invalidHeader();
      this.#expect("paxSparse", BLOCK);
      return;
    }
    const map = pax.get("GNU.sparse.map")?.toString("latin1");
    if (map && !/^\d+(?:,\d+)*$/.test(map)) throw invalidHeader();
    const numbers = map ? map.split(",").map(Number) : this.#sparse00;
    if (numbers.length % 2 !== 0) throw invalidHeader();
    for (let i = 0; i < numbers.length; i += 2) {
      this.#extents.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 });
    }
    this.#begin();
  }

  /** Version 1.0: the map stands before the data as decimal lines, a count and then pairs, padded to a block. */
  #paxSparse(block: Buffer): void {
    this.#left -= BLOCK;
    this.#sparseRead += BLOCK;
    if (this.#left < 0 || this.#sparseRead > specialLimit) throw invalidHeader();
    const lines = (this.#sparseText + block.toString("latin1")).split("\n");
    // The last piece is not ended by a newline yet.
    this.#sparseText = lines.pop() ?? "";
    for (const line of lines) {
      if (this.#sparseLines.length > this.#sparseCount * 2) break;
      if (!/^\d{1,16}$/.test(line)) throw invalidHeader();
      this.#sparseLines.push(Number(line));
    }
    if (this.#sparseLines.length <= this.#sparseCount * 2) {
      if (this.#sparseText.length > 16) throw invalidHeader();
      return;
    }
    const numbers = this.#sparseLines;
    for (let i = 1; i < numbers.length; i += 2)
      this.#extents.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 });
    this.#begin();
  }

  /** What the map's first line says; before it is there, one number is waited for. */
  get #sparseCount(): number {
    return this.#sparseLines[0] ?? 0;
  }

  #checkExtentCount(): void {
    if (this.#extents.length > specialLimit / 24) throw invalidHeader();
  }

  #begin(): void {
    const raw = this.#raw;
    if (!raw) throw invalidHeader();
    const sparse = this.#extents.length > 0 || this.#realSize !== this.#left ? this.#extents : undefined;
    if (sparse) checkSparse(sparse, this.#realSize, this.#left);
    const extensions: Extensions = { pax: this.#pax, longName: this.#longName, longLink: this.#longLink };
    const entry = makeEntry(raw, extensions, this.#realSize, sparse);
    if (this.#pax.size > 0) this.#pax = new Map();
    this.#sparse00 = [];
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#raw = undefined;
    this.#padding = paddingOf(this.#left);
    this.#wholePadding = this.#padding;
    this.#active = sparse;
    this.#extent = 0;
    this.#position = sparse?.[0]?.offset ?? 0;
    this.#open = true;
    this.#handler.entry(entry);
    this.#state = "body";
    if (this.#left === 0) this.#endBody();
  }

  #endBody(): void {
    this.#open = false;
    this.#handler.end();
    if (this.#padding > 0) this.#state = "padding";
    else this.#expect("header", BLOCK);
  }

  /** Delivers data from `chunk` and returns how much of it was used. */
  #body(chunk: Buffer, at: number): number {
    const available = Math.min(this.#left, chunk.length - at);
    if (!this.#active) {
      this.#handler.data(chunk.subarray(at, at + available), this.#position);
      this.#position += available;
    } else {
      this.#sparseBody(chunk.subarray(at, at + available), this.#active);
    }
    this.#left -= available;
    if (this.#left === 0 && this.#open) this.#endBody();
    return available;
  }

  #sparseBody(data: Buffer, extents: readonly SparseExtent[]): void {
    for (let at = 0; at < data.length; ) {
      const extent = extents[this.#extent];
      if (!extent) throw invalidHeader();
      const room = extent.offset + extent.length - this.#position;
      if (room <= 0) {
        this.#extent++;
        this.#position = extents[this.#extent]?.offset ?? 0;
        continue;
      }
      const take = Math.min(room, data.length - at);
      this.#handler.data(data.subarray(at, at + take), this.#position);
      this.#position += take;
      at += take;
    }
  }
}

function cString(body: Buffer): string {
  const zero = body.indexOf(0);
  return decodePath(zero < 0 ? body : body.subarray(0, zero));
}
