import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { eventually, run } from "./daemon.ts";

/** Bytes of a sector in the log, and of the head before each entry's data. */
const sector = 512;
/** What a disk writes whole or not at all. */
const block = 4096;
const diskSize = 320 << 20;
const flushed = 1;
const forced = 2;
const discarded = 4;

interface Entry {
  readonly at: number;
  readonly length: number;
  readonly flags: number;
  /** Where its bytes lie in the log. */
  readonly data: number;
}

/** How a power cut picks from what was not flushed yet: nothing of it, all, whole writes, or single blocks of them. */
export type Survivors = "none" | "all" | "writes" | "blocks";

/**
 * A file system on a disk that keeps a log of every write and flush, and from the log the disk as a power cut at any of these moments would
 * have left it: everything before the last flush, and of what came after it whatever the drive's cache happened to have written.
 *
 * qemu-storage-daemon shows the disk as a file (its FUSE export) and writes the log (its blklogwrites filter, in the format of the kernel's
 * dm-log-writes); the kernel's loop driver makes a block device of the file and passes its flushes on as fsync. So the kernel of the host
 * needs neither a device mapper nor a network block device.
 */
export class RecordedDisk {
  readonly mountPoint: string;
  readonly #root: string;
  readonly #daemon: Bun.Subprocess;
  readonly #entries: Entry[] = [];
  /** How many of the entries are applied to the image that cuts are made from. */
  #applied = 0;
  #cutMounted = false;
  #cuts = 0;

  private constructor(root: string, mountPoint: string, daemon: Bun.Subprocess) {
    this.#root = root;
    this.mountPoint = mountPoint;
    this.#daemon = daemon;
  }

  static missing(): string | undefined {
    if (!existsSync("/usr/bin/qemu-storage-daemon"))
      return "qemu-storage-daemon is not installed (Debian package qemu-system-common)";
    if (!existsSync("/dev/fuse")) return "this kernel has no /dev/fuse";
    if (!existsSync("/dev/loop-control")) return "this kernel has no loop devices";
    return undefined;
  }

  /** Makes the disk in `root`, a new directory that becomes a memory file system, and mounts an ext4 with a journal at `mountPoint`. */
  static async create(root: string, mountPoint: string): Promise<RecordedDisk> {
    mkdirSync(root, { recursive: true });
    mkdirSync(mountPoint, { recursive: true });
    await must("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", root);
    for (const [name, size] of [
      ["disk", diskSize],
      ["replayed", diskSize],
      ["log", 0],
    ] as const) {
      const fd = openSync(join(root, name), "wx", 0o600);
      ftruncateSync(fd, size);
      closeSync(fd);
    }
    const shown = join(root, "shown");
    writeFileSync(shown, "");
    const file = (node: string, name: string) => `driver=file,node-name=${node},filename=${join(root, name)}`;
    const daemon = Bun.spawn(
      [
        "qemu-storage-daemon",
        ...["--blockdev", file("file", "disk"), "--blockdev", file("entries", "log")],
        ...["--blockdev", "driver=blklogwrites,node-name=disk,file=file,log=entries"],
        ...["--export", `type=fuse,id=shown,node-name=disk,mountpoint=${shown},writable=on`],
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const disk = new RecordedDisk(root, mountPoint, daemon);
    try {
      await eventually("the disk is there", () => statSync(shown).size === diskSize, 60_000);
      await must("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", shown);
      await must("mount", "-o", "loop", shown, mountPoint);
      // What was before is no part of the story.
      await must("sync", "-f", mountPoint);
    } catch (error) {
      await disk.close();
      throw error;
    }
    return disk;
  }

  /** This moment, as bytes of the log: whatever is complete now lies before it, but not each entry before it is complete. */
  get now(): number {
    return statSync(join(this.#root, "log")).size;
  }

  /** The moments at which the disk had just flushed. */
  get flushes(): readonly number[] {
    this.#read();
    return this.#entries.flatMap((entry) => ((entry.flags & flushed) !== 0 ? [endOf(entry)] : []));
  }

  /** Takes the recorded file system away; its log stays for `cut`. */
  async stopRecording(): Promise<void> {
    await must("umount", this.mountPoint);
    await this.#endDaemon();
    this.#read();
  }

  /** Mounts, at the same place, what a power cut at the moment `at` left. Moments are asked for in their order. */
  async cut(at: number, survivors: Survivors, random: () => number): Promise<void> {
    await this.#takeCutAway();
    const written = this.#entries.filter((entry) => endOf(entry) <= at);
    const durable = written.findLastIndex(({ flags }) => (flags & flushed) !== 0) + 1;
    // A file of its own: what still holds the cut before must not meet this one.
    const image = join(this.#root, `cut-${++this.#cuts}`);
    const log = openSync(join(this.#root, "log"), "r");
    try {
      if (durable < this.#applied) throw new Error("cuts are taken in the order of time");
      this.#apply(log, join(this.#root, "replayed"), this.#entries.slice(this.#applied, durable), () => true);
      this.#applied = durable;
      await must("cp", "--sparse=always", join(this.#root, "replayed"), image);
      const late = written.slice(durable);
      const kept = { none: () => false, all: () => true, writes: () => true, blocks: () => random() < 0.5 };
      const chosen = survivors === "writes" ? late.filter(() => random() < 0.5) : late;
      this.#apply(log, image, chosen, kept[survivors]);
    } finally {
      closeSync(log);
    }
    await must("mount", "-o", "loop", image, this.mountPoint);
    rmSync(image);
    this.#cutMounted = true;
  }

  async close(): Promise<void> {
    await this.#takeCutAway();
    await run(["umount", this.mountPoint]);
    await this.#endDaemon();
    // The loop driver lets go of its file a moment after the unmount; and whoever beside us began a mount namespace while the disk was there has
    // copies of its mounts for as long as that lives.
    await must("umount", "--lazy", this.#root);
    rmSync(this.#root, { recursive: true });
  }

  async #takeCutAway(): Promise<void> {
    if (!this.#cutMounted) return;
    await must("umount", this.mountPoint);
    this.#cutMounted = false;
  }

  async #endDaemon(): Promise<void> {
    this.#daemon.kill();
    await this.#daemon.exited;
  }

  #apply(log: number, image: string, entries: readonly Entry[], keeps: () => boolean): void {
    const fd = openSync(image, "r+");
    const zeros = new Uint8Array(block);
    try {
      for (const { at, length, flags, data } of entries) {
        for (let from = 0; from < length; from += block) {
          if ((flags & forced) === 0 && !keeps()) continue;
          const size = Math.min(block, length - from);
          const bytes = new Uint8Array(size);
          if ((flags & discarded) === 0) readSync(log, bytes, 0, size, data + from);
          writeSync(fd, (flags & discarded) === 0 ? bytes : zeros, 0, size, at + from);
        }
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Reads on in the log (Documentation/admin-guide/device-mapper/log-writes.rst): after a superblock, each entry's head and its data. */
  #read(): void {
    const fd = openSync(join(this.#root, "log"), "r");
    try {
      const { size } = fstatSync(fd);
      const last = this.#entries.at(-1);
      const head = new BigUint64Array(4);
      for (let at = last ? endOf(last) : sector; at + sector <= size; ) {
        readSync(fd, new Uint8Array(head.buffer), 0, 32, at);
        const [from, sectors, flags] = [...head].map(Number);
        if (from === undefined || sectors === undefined || flags === undefined) return;
        // The tail that is being written.
        if (sectors === 0 && flags === 0) return;
        const entry = { at: from * sector, length: sectors * sector, flags, data: at + sector };
        if (endOf(entry) > size) return;
        this.#entries.push(entry);
        at = endOf(entry);
      }
    } finally {
      closeSync(fd);
    }
  }
}

function endOf(entry: Entry): number {
  return entry.data + ((entry.flags & discarded) === 0 ? entry.length : 0);
}

async function must(...command: string[]): Promise<void> {
  const { code, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
