import type { StreamClient } from "../streams/client.ts";

/** Takes both streams of an exec together and keeps the beginning; a command may print gigabytes. */
export class CappedOutput implements StreamClient {
  readonly stdin = undefined;
  readonly signal = new AbortController().signal;
  readonly #limit: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  begin(): void {}

  async write(_stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    this.add(bytes);
  }

  async writeEncoded(bytes: Uint8Array): Promise<void> {
    this.add(bytes);
  }

  add(bytes: Uint8Array): void {
    const room = this.#limit - this.#length;
    if (room <= 0) return;
    const kept = bytes.slice(0, room);
    this.#parts.push(kept);
    this.#length += kept.length;
  }

  text(): string {
    return Buffer.concat(this.#parts).toString("utf8");
  }
}
