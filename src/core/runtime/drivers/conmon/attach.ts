import { conflict } from "../../../../base/lib/errors.ts";
import { adoptSocket } from "../../../../base/sys/fd-socket.ts";
import { connectSeqpacket } from "../../../../base/sys/seqpacket.ts";
import type { OutputPacket, TaskStreams } from "../../runtime.ts";

/** conmon reads stdin packets into a buffer of this size; what is longer would be cut off (CONN_SOCK_BUF_SIZE). */
const MAX_PACKET = 32 * 1024;
const STDERR = 3;

/**
 * How much output may wait here before reading stops. conmon writes to its clients with blocking writes, so a client that
 * does not read holds up the container's output, as it does with Docker; while the init is dead nothing is held back, so
 * that the exit is recorded however slow the client is.
 */
const HIGH_WATER = 1 << 20;

export interface AttachOptions {
  /** Whether the container's process still runs. */
  readonly alive: () => boolean;
  /**
   * Keep the connection after it was closed here, dropping what it says: conmon ends the container's stdin when any client
   * leaves, even one that only watched.
   */
  readonly linger: boolean;
}

/** Attaches to a conmon's socket. */
export async function openStreams(path: string, options: AttachOptions): Promise<TaskStreams> {
  let fd: number;
  try {
    fd = connectSeqpacket(path, 1 << 20);
  } catch (error) {
    throw conflict("the container's monitor does not answer", error);
  }
  const streams = new AttachedStreams(options);
  await streams.open(fd);
  return streams;
}

class AttachedStreams implements TaskStreams {
  readonly output: ReadableStream<OutputPacket>;
  readonly #options: AttachOptions;
  #controller: ReadableStreamDefaultController<OutputPacket> | undefined;
  #socket: Bun.Socket | undefined;
  #ended = false;
  #paused = false;
  #drain: (() => void) | undefined;
  #watchdog: ReturnType<typeof setInterval> | undefined;

  constructor(options: AttachOptions) {
    this.#options = options;
    this.output = new ReadableStream<OutputPacket>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#resume(),
        cancel: () => this.#close(),
      },
      { highWaterMark: HIGH_WATER, size: (packet) => packet?.bytes.length ?? 0 },
    );
  }

  async open(fd: number): Promise<void> {
    this.#socket = await adoptSocket(fd, {
      binaryType: "uint8array",
      data: (_socket, packet) => this.#take(packet),
      drain: () => this.#drained(),
      end: () => this.#end(),
      close: () => this.#end(),
      error: () => this.#end(),
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_PACKET) {
      const packet = bytes.subarray(at, at + MAX_PACKET);
      while (!this.#ended && this.#socket?.write(packet) !== packet.length) {
        await new Promise<void>((resolve) => {
          this.#drain = resolve;
        });
      }
      if (this.#ended) return;
    }
  }

  async closeStdin(): Promise<void> {
    if (!this.#ended) this.#socket?.shutdown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }

  #take(packet: Uint8Array): void {
    if (packet.length < 1 || this.#ended || !this.#controller) return;
    this.#controller.enqueue({
      stream: packet[0] === STDERR ? "stderr" : "stdout",
      bytes: packet.slice(1),
    });
    if ((this.#controller.desiredSize ?? 0) <= 0 && this.#options.alive()) this.#pause();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket?.pause();
    this.#watchdog = setInterval(() => {
      if (!this.#options.alive()) this.#resume();
    }, 100);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    clearInterval(this.#watchdog);
    this.#socket?.resume();
  }

  #drained(): void {
    this.#drain?.();
    this.#drain = undefined;
  }

  #close(): void {
    this.#end();
    if (this.#options.linger) this.#socket?.resume();
    else this.#socket?.terminate();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watchdog);
    this.#drained();
    try {
      this.#controller?.close();
    } catch (error) {
      // Cancelled by its reader: closed already.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
