import { mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, closeFd, O, openat } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { removeTree } from "../../base/sys/remove-tree.ts";
import type { SnapshotRecord, SnapshotRecords } from "./records.ts";

const trash = ".trash";

/** What a driver does about directories of its own kind. */
export interface DirectoryHooks {
  /** Called for a directory before it is moved to the trash. */
  readonly retire?: (path: string) => void;
  /** Called for a directory in the trash before what is left of it is removed. */
  readonly destroy?: (path: string) => Promise<void>;
}

/**
 * The directories of one driver: `<root>/<directory>/...`, one for each record. The root is 0700, so that nobody but root
 * reaches a set-uid program or a device that some image brought.
 *
 * A directory is made before its record and moved to the trash before its record goes; whatever is without its counterpart
 * after a crash is therefore half-made or half-removed, and `recover` finishes the removal.
 */
export class SnapshotDirectories {
  readonly root: string;
  readonly #records: SnapshotRecords;
  readonly #hooks: DirectoryHooks;

  constructor(root: string, records: SnapshotRecords, hooks: DirectoryHooks = {}) {
    this.root = root;
    this.#records = records;
    this.#hooks = hooks;
    mkdirSync(join(root, trash), { recursive: true, mode: 0o700 });
  }

  path(record: { readonly directory: string }, ...below: string[]): string {
    return join(this.root, record.directory, ...below);
  }

  /** Makes a new, empty directory and returns its name. */
  make(): string {
    for (;;) {
      const directory = randomName();
      try {
        mkdirSync(join(this.root, directory), { mode: 0o700 });
        return directory;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
    }
  }

  /** Moves a directory out of sight, at once; `empty` takes the time. Returns its name in the trash. */
  discard(directory: string): string {
    const name = `${directory}-${randomName()}`;
    try {
      this.#hooks.retire?.(join(this.root, directory));
      renameSync(join(this.root, directory), join(this.root, trash, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    return name;
  }

  /**
   * Removes what was discarded. Two callers may run at once: what the other one took is not missed. What cannot be removed (an immutable file of a
   * privileged container's, a mount) stays for the next time; it fails for the one who discarded it and must not for anybody else. Returns
   * what stayed, by its name in the trash; throws for `mine`.
   */
  async empty(mine?: string): Promise<ReadonlyMap<string, unknown>> {
    const stayed = new Map<string, unknown>();
    const fd = openat(AT_FDCWD, join(this.root, trash), O.PATH | O.DIRECTORY);
    try {
      for (const name of readdirSync(join(this.root, trash))) {
        try {
          await this.#hooks.destroy?.(join(this.root, trash, name));
          await removeTree(fd, name);
        } catch (error) {
          if (!(error instanceof SystemError) || (error.code !== "ENOENT" && error.code !== "ENOTEMPTY"))
            stayed.set(name, error);
        }
      }
    } finally {
      closeFd(fd);
    }
    if (mine !== undefined && stayed.has(mine)) throw stayed.get(mine);
    return stayed;
  }

  /**
   * Makes directories and records agree: a record whose directory is gone is dropped, a directory without a record is removed. `usable`
   * says whether a record's directory is whole. What lies on a parent that is gone stays: it may be what a container wrote, and the
   * parent may be unpacked again under its name. Returns what could not be removed, as `empty` does.
   */
  async recover(usable: (record: SnapshotRecord) => boolean): Promise<ReadonlyMap<string, unknown>> {
    const records = this.#records.all().filter((record) => {
      if (usable(record)) return true;
      this.#records.remove(record.name);
      return false;
    });
    const wanted = new Set([
      trash,
      ...records.flatMap(({ directory, base }) => (base === undefined ? [directory] : [directory, base])),
    ]);
    for (const name of readdirSync(this.root)) if (!wanted.has(name)) this.discard(name);
    return await this.empty();
  }
}

/** Ten letters and digits: short, and never reused. */
function randomName(): string {
  const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => alphabet[byte % 36]).join("");
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
