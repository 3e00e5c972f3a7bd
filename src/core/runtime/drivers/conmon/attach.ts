import { join } from "node:path";
import { conflict } from "../../../../base/lib/errors.ts";
import { adoptSocket } from "../../../../base/sys/net/fd-socket.ts";
import { allPacketsRead, connectSeqpacket, sendEmptyPacket } from "../../../../base/sys/net/seqpacket.ts";
import { isAlive } from "../../../../base/sys/process/pidfd.ts";
import type { OutputPacket, TaskDirs, TaskStreams } from "../../runtime.ts";
import { readRecord } from "./task-record.ts";

/** conmon reads stdin packets into a buffer of this size; what is longer would be cut off (CONN_SOCK_BUF_SIZE). */
const MAX_PACKET = 32 * 1024;
const STDERR = 3;

/**
 * How much output may wait here before reading stops. conmon writes to its clients with blocking writes, so a client that
 * does not read holds up the container's output, as it does with Docker; while the init is dead nothing is held back, so
 * that the exit is recorded however slow the client is.
 */
const HIGH_WATER = 1 << 20;

/** How long a client that leaves is waited for at most; conmon answers at once unless it is stopped or held up. */
const LEAVING_MS = 1000;
/** Between looks whether conmon has noticed that we leave: doubled each time, up to the longest. */
const LOOK_MS = 1;
const LONGEST_LOOK_MS = 2000;

interface AttachOptions {
  /** Whether the container's process still runs. */
  readonly alive: () => boolean;
  /**
   * Keep the connection after it was closed here, dropping what it says: conmon ends the container's stdin when any client
   * leaves, even one that only watched.
   */
  readonly linger: boolean;
}

/** Attaches to a conmon's socket. */
async function openStreams(path: string, options: AttachOptions): Promise<TaskStreams> {
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

/** Attaches to a task by its directory. */
export async function attachTask(
  dirs: TaskDirs,
  options: { readonly stdin: boolean } = { stdin: true },
): Promise<TaskStreams> {
  let record = readRecord(dirs.state);
  const alive = () => {
    // An exec's pid is recorded after its streams were opened.
    if (!record?.init) record = readRecord(dirs.state);
    return record?.init === undefined || isAlive(record.init);
  };
  const linger = !options.stdin && record?.stdinOnce === true;
  return await openStreams(join(dirs.state, "attach"), { alive, linger });
}

class AttachedStreams implements TaskStreams {
  readonly output: ReadableStream<OutputPacket>;
  readonly #options: AttachOptions;
  #controller: ReadableStreamDefaultController<OutputPacket> | undefined;
  #socket: Bun.Socket | undefined;
  #ended = false;
  #fd = -1;
  readonly #closed = Promise.withResolvers<void>();
  #leaving: Promise<void> | undefined;
  /** conmon was told that no input comes any more. */
  #told = false;
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
    this.#fd = fd;
    this.#socket = await adoptSocket(fd, {
      binaryType: "uint8array",
      data: (_socket, packet) => this.#take(packet),
      drain: () => this.#drained(),
      end: () => this.#end(),
      close: () => this.#gone(),
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
    while (!this.#ended && !this.#tell()) await Bun.sleep(LONGEST_LOOK_MS / 100);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    if (this.#leaving) await Promise.race([this.#leaving, Bun.sleep(LEAVING_MS)]);
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
    this.#socket?.resume();
    if (!this.#options.linger) this.#leaving ??= this.#leave();
  }

  /**
   * Tells conmon first, reads on until it has noticed, and hangs up then. conmon (2.1.6 and others) uses memory that it has freed
   * when it notices the end of a client's input only after writing to that client has failed, and may take the container with
   * it: so a write must never fail before.
   */
  async #leave(): Promise<void> {
    for (let wait = LOOK_MS; this.#fd >= 0; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      if (this.#tell() && allPacketsRead(this.#fd)) break;
      await Promise.race([this.#closed.promise, Bun.sleep(wait)]);
    }
    this.#socket?.terminate();
  }

  /** False when there is no room for telling yet. */
  #tell(): boolean {
    if (!this.#told && this.#fd >= 0) this.#told = sendEmptyPacket(this.#fd) !== "full";
    return this.#told;
  }

  /** The descriptor is no longer ours. */
  #gone(): void {
    this.#fd = -1;
    this.#closed.resolve();
    this.#end();
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
