/**
 * LZMA2 decoding of single chunks (the LZMA specification of the LZMA SDK; xz's "LZMA2" container): a chunk is at most
 * 64 KiB compressed and 2 MiB plain, so each is decoded at once into a window that keeps the dictionary.
 */
const chunkLimit = 1 << 21;

/** Bit models: 11-bit probabilities, all starting at one half. */
const half = 1024;

export class Lzma2Decoder {
  readonly #dictionary: number;
  #window: Uint8Array;
  #position = 0;
  /** Bytes before `#position` that a match may refer to. */
  #valid = 0;
  /** Bytes decoded in all: position bits of the models come from it. */
  #total = 0;
  #needProps = true;
  #needState = true;
  #needDictionary = true;
  #lc = 0;
  #lp = 0;
  #pb = 0;
  #state = 0;
  readonly #reps = new Uint32Array(4);
  #probs = new Uint16Array(0);
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #range = 0;
  #code = 0;

  /** `dictionary` is the size in bytes that the block header tells. */
  constructor(dictionary: number) {
    this.#dictionary = Math.max(dictionary, 4096);
    this.#window = new Uint8Array(Math.min(this.#dictionary, 1 << 20) + chunkLimit);
  }

  /** Decodes an LZMA chunk with the control byte's reset level (0 to 3) and returns its plain bytes. */
  chunk(reset: number, props: number | undefined, input: Uint8Array, size: number): Uint8Array {
    if (reset === 3) this.#resetDictionary();
    else if (this.#needDictionary) throw new RangeError("LZMA2: missing dictionary reset");
    if (props !== undefined) this.#setProps(props);
    else if (this.#needProps) throw new RangeError("LZMA2: missing properties");
    if (reset >= 1) this.#resetState();
    else if (this.#needState) throw new RangeError("LZMA2: missing state reset");
    this.#makeRoom(size);
    const start = this.#position;
    this.#startRange(input);
    this.#decode(start + size);
    if (this.#at !== input.length || this.#code !== 0)
      throw new RangeError("LZMA2: chunk does not end where it should");
    return this.#window.slice(start, this.#position);
  }

  /** A stored chunk. */
  stored(resetDictionary: boolean, bytes: Uint8Array): Uint8Array {
    if (resetDictionary) this.#resetDictionary();
    else if (this.#needDictionary) throw new RangeError("LZMA2: missing dictionary reset");
    this.#makeRoom(bytes.length);
    this.#window.set(bytes, this.#position);
    this.#position += bytes.length;
    this.#valid = Math.min(this.#valid + bytes.length, this.#dictionary);
    return bytes.slice();
  }

  #resetDictionary(): void {
    this.#needDictionary = false;
    this.#valid = 0;
  }

  #setProps(props: number): void {
    if (props >= 9 * 5 * 5) throw new RangeError("LZMA2: bad properties");
    this.#lc = props % 9;
    this.#lp = Math.floor(props / 9) % 5;
    this.#pb = Math.floor(props / 45);
    if (this.#lc + this.#lp > 4) throw new RangeError("LZMA2: bad properties");
    this.#needProps = false;
  }

  #resetState(): void {
    this.#needState = false;
    this.#state = 0;
    this.#reps.fill(0);
    this.#probs = new Uint16Array(LITERAL + (0x300 << (this.#lc + this.#lp))).fill(half);
  }

  /** Makes the window hold the dictionary and `size` more bytes, moving or growing it. */
  #makeRoom(size: number): void {
    if (this.#position + size <= this.#window.length) return;
    const keep = Math.min(this.#valid, this.#dictionary);
    const wanted = Math.min(this.#dictionary, Math.max(keep * 2, 1 << 20)) + chunkLimit;
    const target = wanted > this.#window.length ? new Uint8Array(wanted) : this.#window;
    target.set(this.#window.subarray(this.#position - keep, this.#position), 0);
    this.#window = target;
    this.#position = keep;
  }

  #startRange(input: Uint8Array): void {
    if (input.length < 5 || input[0] !== 0) throw new RangeError("LZMA2: bad chunk");
    this.#input = input;
    this.#at = 5;
    this.#range = 0xffffffff;
    this.#code = Buffer.from(input.buffer, input.byteOffset, input.byteLength).readUInt32BE(1);
  }

  #normalize(): void {
    if (this.#range >= 0x1000000) return;
    this.#range = (this.#range << 8) >>> 0;
    const byte = this.#input[this.#at++];
    if (byte === undefined) throw new RangeError("LZMA2: chunk ends early");
    this.#code = ((this.#code << 8) | byte) >>> 0;
  }

  #bit(index: number): number {
    this.#normalize();
    const prob = this.#probs[index] ?? half;
    const bound = (this.#range >>> 11) * prob;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probs[index] = prob + ((2048 - prob) >> 5);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    this.#probs[index] = prob - (prob >> 5);
    return 1;
  }

  /** `count` bits through a tree of models at `base`. */
  #tree(base: number, count: number): number {
    let node = 1;
    for (let i = 0; i < count; i++) node = (node << 1) | this.#bit(base + node);
    return node - (1 << count);
  }

  #reverseTree(base: number, count: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < count; i++) {
      const bit = this.#bit(base + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #direct(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      this.#normalize();
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = ((value << 1) | bit) >>> 0;
    }
    return value;
  }

  #length(base: number, posState: number): number {
    if (this.#bit(base) === 0) return 2 + this.#tree(base + 2 + (posState << 3), 3);
    if (this.#bit(base + 1) === 0) return 10 + this.#tree(base + 2 + 128 + (posState << 3), 3);
    return 18 + this.#tree(base + 2 + 256, 8);
  }

  #decode(end: number): void {
    const posMask = (1 << this.#pb) - 1;
    while (this.#position < end) {
      const posState = this.#total & posMask;
      if (this.#bit(IS_MATCH + (this.#state << 4) + posState) === 0) {
        this.#literal();
        continue;
      }
      const length = this.#bit(IS_REP + this.#state) === 0 ? this.#match(posState) : this.#repeat(posState);
      if (length > 0) this.#copy(length, end);
    }
    this.#normalize();
  }

  #literal(): void {
    const position = this.#position;
    const before = this.#valid > 0 ? (this.#window[position - 1] ?? 0) : 0;
    const context = ((this.#total & ((1 << this.#lp) - 1)) << this.#lc) + (before >> (8 - this.#lc));
    const base = LITERAL + 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      const distance = (this.#reps[0] ?? 0) + 1;
      if (distance > this.#valid) throw new RangeError("LZMA2: bad distance");
      let matched = this.#window[position - distance] ?? 0;
      while (symbol < 0x100) {
        const matchBit = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    this.#put(symbol & 0xff);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  #put(byte: number): void {
    this.#window[this.#position++] = byte;
    this.#total = (this.#total + 1) >>> 0;
    if (this.#valid < this.#dictionary) this.#valid++;
  }

  #match(posState: number): number {
    const reps = this.#reps;
    reps.copyWithin(1, 0, 3);
    const length = this.#length(LENGTH, posState);
    this.#state = this.#state < 7 ? 7 : 10;
    const slot = this.#tree(SLOT + (Math.min(length - 2, 3) << 6), 6);
    if (slot < 4) {
      reps[0] = slot;
      return length;
    }
    const count = (slot >> 1) - 1;
    const high = ((2 | (slot & 1)) << count) >>> 0;
    reps[0] =
      slot < 14
        ? high + this.#reverseTree(SPECIAL + high - slot - 1, count)
        : (high + ((this.#direct(count - 4) << 4) >>> 0) + this.#reverseTree(ALIGN, 4)) >>> 0;
    // LZMA's end marker has no place in LZMA2.
    if (reps[0] === 0xffffffff) throw new RangeError("LZMA2: unexpected end marker");
    return length;
  }

  /** Returns 0 after a single repeated byte. */
  #repeat(posState: number): number {
    const reps = this.#reps;
    const state = this.#state;
    if (this.#bit(IS_REP0 + state) === 0) {
      if (this.#bit(IS_REP0_LONG + (state << 4) + posState) === 0) {
        this.#state = state < 7 ? 9 : 11;
        const distance = (reps[0] ?? 0) + 1;
        if (distance > this.#valid) throw new RangeError("LZMA2: bad distance");
        this.#put(this.#window[this.#position - distance] ?? 0);
        return 0;
      }
    } else {
      const index = this.#bit(IS_REP1 + state) === 0 ? 1 : this.#bit(IS_REP2 + state) === 0 ? 2 : 3;
      const distance = reps[index] ?? 0;
      reps.copyWithin(1, 0, index);
      reps[0] = distance;
    }
    const length = this.#length(REP_LENGTH, posState);
    this.#state = state < 7 ? 8 : 11;
    return length;
  }

  #copy(length: number, end: number): void {
    const distance = (this.#reps[0] ?? 0) + 1;
    if (distance > this.#valid) throw new RangeError("LZMA2: bad distance");
    if (length > end - this.#position) throw new RangeError("LZMA2: match crosses the chunk's end");
    const window = this.#window;
    if (distance >= length) {
      window.copyWithin(this.#position, this.#position - distance, this.#position - distance + length);
    } else {
      for (let i = 0; i < length; i++)
        window[this.#position + i] = window[this.#position + i - distance] ?? 0;
    }
    this.#position += length;
    this.#total = (this.#total + length) >>> 0;
    this.#valid = Math.min(this.#valid + length, this.#dictionary);
  }
}

/** Where each group of models begins. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + (12 << 4);
const IS_REP0 = IS_REP + 12;
const IS_REP1 = IS_REP0 + 12;
const IS_REP2 = IS_REP1 + 12;
const IS_REP0_LONG = IS_REP2 + 12;
const SLOT = IS_REP0_LONG + (12 << 4);
const SPECIAL = SLOT + 4 * 64;
const ALIGN = SPECIAL + 128;
const LENGTH = ALIGN + 16;
const REP_LENGTH = LENGTH + 2 + 256 + 256;
const LITERAL = REP_LENGTH + 2 + 256 + 256;
