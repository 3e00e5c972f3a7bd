import { stdcopyHeader } from "../base/lib/stdcopy.ts";

/** Where encoded bytes go. Writes resolve when the client keeps up; the bytes may be reused at once. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  write2(head: Uint8Array, body: Uint8Array): Promise<void>;
}

/** A piece this long was cut by the monitor's 8 KB buffer, so more is on its way. */
const cut = 8 * 1024 - 1;
const capacity = 64 * 1024;
const headerSize = 8;
/** How long more is waited for. */
const patience = 1;

/**
 * Frames output for a client. What comes in pieces that were cut leaves in frames of up to 64 KB, because every frame costs the
 * daemon and the client a system call each and a switch between them; everything else leaves at once.
 */
export class FrameBatch {
  readonly #sink: Sink;
  readonly #framed: boolean;
  #buffer: Uint8Array | undefined;
  #length = 0;
  #stream: "stdout" | "stderr" = "stdout";
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The outcome of the last write that nobody has awaited yet. */
  #sent: Promise<void> = Promise.resolve();

  constructor(sink: Sink, framed: boolean) {
    this.#sink = sink;
    this.#framed = framed;
  }

  write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return this.#sent;
    const tooLong = bytes.length > capacity / 2;
    if (this.#length > 0 && (tooLong || stream !== this.#stream || this.#length + bytes.length > capacity)) {
      this.#send();
    }
    if (tooLong || (this.#length === 0 && bytes.length < cut)) return this.#direct(stream, bytes);
    this.#buffer ??= new Uint8Array(headerSize + capacity);
    this.#buffer.set(bytes, headerSize + this.#length);
    this.#length += bytes.length;
    this.#stream = stream;
    if (bytes.length < cut || this.#length + cut > capacity) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), patience);
    return this.#sent;
  }

  /** Sends what is held. */
  flush(): Promise<void> {
    this.#send();
    return this.#sent;
  }

  #direct(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    return this.#framed
      ? this.#sink.write2(stdcopyHeader(stream, bytes.length), bytes)
      : this.#sink.write(bytes);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#buffer || this.#length === 0) return;
    if (this.#framed) this.#buffer.set(stdcopyHeader(this.#stream, this.#length));
    const start = this.#framed ? 0 : headerSize;
    const sent = this.#sink.write(this.#buffer.subarray(start, headerSize + this.#length));
    this.#length = 0;
    this.#sent = sent;
    // The next write or flush reports it; until then nobody may be looking.
    sent.catch(() => undefined);
  }
}
