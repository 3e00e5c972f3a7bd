import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { cstr, errno, SystemError } from "./libc.ts";

const lib = dlopen("libc.so.6", {
  inotify_init1: { args: [FFIType.i32], returns: FFIType.i32 },
  inotify_add_watch: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  inotify_rm_watch: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const IN_MODIFY = 0x2;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_IGNORED = 0x8000;
const IN_Q_OVERFLOW = 0x4000;
const IN_ONLYDIR = 0x01000000;
/** struct inotify_event without its name: wd, mask, cookie, len (inotify(7)). */
const HEADER = 16;
const retryMs = 100;

interface ByteReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** Called with the name of a file that appeared, or changed, in a watched directory; `undefined` when events were lost: look yourself. */
export type DirectoryListener = (name: string | undefined) => void;

/**
 * Watches many directories for files that appear (created or renamed in) through one inotify instance. Events come a
 * fraction of a millisecond after the fact, where `fs.watch` takes a thread and an instance for each directory.
 */
export class DirectoryWatcher implements AsyncDisposable {
  readonly #fd: number;
  readonly #listeners = new Map<number, DirectoryListener>();
  readonly #onError: (error: unknown) => void;
  #reader: ByteReader;
  readonly #done: Promise<void>;
  #closed = false;

  /** `onError` hears of listeners that throw and of failing reads; the watch goes on after both. */
  constructor(onError: (error: unknown) => void) {
    this.#fd = lib.symbols.inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (this.#fd < 0) throw new SystemError(errno(), "inotify_init1");
    this.#onError = onError;
    this.#reader = Bun.file(this.#fd).stream().getReader();
    this.#done = this.#run();
  }

  /** Starts watching; files that were there before are not reported. Dispose to stop. */
  watch(directory: string, listener: DirectoryListener): Disposable {
    return this.#watch(directory, listener, IN_CREATE | IN_MOVED_TO);
  }

  /** The same for files whose content changes: the event files of a cgroup (cgroup-v2, "Interface Files"). */
  watchContents(directory: string, listener: DirectoryListener): Disposable {
    return this.#watch(directory, listener, IN_MODIFY);
  }

  #watch(directory: string, listener: DirectoryListener, events: number): Disposable {
    const name = cstr(directory);
    const descriptor = lib.symbols.inotify_add_watch(this.#fd, ptr(name), events | IN_ONLYDIR);
    if (descriptor < 0) throw new SystemError(errno(), "inotify_add_watch", directory);
    this.#listeners.set(descriptor, listener);
    return {
      [Symbol.dispose]: () => {
        // The directory may be gone already, which removed the watch: EINVAL then says nothing new.
        if (this.#listeners.delete(descriptor)) lib.symbols.inotify_rm_watch(this.#fd, descriptor);
      },
    };
  }

  /** Who depends on the events would wait for ever: after an error reading begins again, and everybody is told to look. */
  async #run(): Promise<void> {
    for (;;) {
      await this.#pump().catch((error: unknown) => {
        if (!this.#closed) this.#onError(error);
      });
      if (this.#closed) return;
      await Bun.sleep(retryMs);
      this.#reader = Bun.file(this.#fd).stream().getReader();
      this.#tellAll();
    }
  }

  async #pump(): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    while (true) {
      const { done, value } = await this.#reader.read();
      if (done || !value) return;
      rest = rest.length === 0 ? Buffer.from(value) : Buffer.concat([rest, value]);
      let at = 0;
      while (rest.length - at >= HEADER) {
        const length = rest.readUInt32LE(at + 12);
        if (rest.length - at < HEADER + length) break;
        this.#deliver(rest.readInt32LE(at), rest.readUInt32LE(at + 4), rest, at + HEADER, length);
        at += HEADER + length;
      }
      rest = rest.subarray(at);
    }
  }

  #deliver(descriptor: number, mask: number, bytes: Buffer, start: number, length: number): void {
    if (mask & IN_Q_OVERFLOW) {
      this.#tellAll();
      return;
    }
    if (mask & IN_IGNORED) {
      this.#listeners.delete(descriptor);
      return;
    }
    const raw = bytes.subarray(start, start + length);
    const end = raw.indexOf(0);
    this.#tell(this.#listeners.get(descriptor), raw.toString("utf8", 0, end < 0 ? raw.length : end));
  }

  #tellAll(): void {
    for (const listener of [...this.#listeners.values()]) this.#tell(listener, undefined);
  }

  #tell(listener: DirectoryListener | undefined, name: string | undefined): void {
    try {
      listener?.(name);
    } catch (error) {
      this.#onError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    await this.#reader.cancel().catch(() => undefined); // it failed already, and reading ends either way
    await this.#done;
    // The stream reads a duplicate of its own; this one is ours to close.
    closeSync(this.#fd);
  }
}
