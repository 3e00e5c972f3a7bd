import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../../base/lib/clock.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import type { Database } from "../../../../base/store/database.ts";
import { statFileSystem } from "../../../../base/sys/statfs.ts";
import { isDirectory, SnapshotDirectories } from "../../directories.ts";
import { DirectorySnapshots } from "../../directory-snapshots.ts";
import { type SnapshotRecord, SnapshotRecords } from "../../records.ts";
import type {
  Mount,
  PrepareOptions,
  SnapshotInfo,
  SnapshotLayout,
  Snapshotter,
  Usage,
} from "../../snapshotter.ts";
import type { SyncFileSystem } from "../../sync.ts";

export interface Overlay2Deps {
  readonly db: Database;
  /** Directory of this driver alone, e.g. /var/lib/tug/overlay2. */
  readonly root: string;
  readonly clock: Clock;
  readonly sync?: SyncFileSystem;
}

/**
 * Features that would make an upper directory more than "files, whiteouts, opaque directories" (redirects, metadata-only
 * copies, an index of hard links) are off: layers are unpacked into and read from upper directories directly
 * (Documentation/filesystems/overlayfs.rst).
 */
const plain = ["index=off", "metacopy=off", "redirect_dir=nofollow"];

/**
 * Snapshots on the kernel's overlay: `<root>/<directory>/diff` holds a snapshot's own files, `work` is the kernel's scratch
 * directory. Open it with `openOverlay2`, which repairs what a crash left.
 */
class Overlay2 implements Snapshotter {
  readonly name = "overlay2";
  readonly root: string;
  readonly #deps: Overlay2Deps;
  readonly #records: SnapshotRecords;
  readonly #directories: SnapshotDirectories;
  readonly #snapshots: DirectorySnapshots;

  constructor(deps: Overlay2Deps) {
    this.#deps = deps;
    this.root = deps.root;
    this.#records = new SnapshotRecords(deps.db, this.name);
    this.#directories = new SnapshotDirectories(deps.root, this.#records);
    this.#snapshots = new DirectorySnapshots({
      records: this.#records,
      directories: this.#directories,
      sync: deps.sync,
      files: (record) => this.#diff(record),
    });
  }

  recover(): Promise<void> {
    return this.#directories.recover((record) => isDirectory(this.#diff(record)));
  }

  status(): readonly (readonly [string, string])[] {
    return [
      ["Backing Filesystem", statFileSystem(this.#deps.root).name],
      ["Supports d_type", "true"],
      ["Using metacopy", "false"],
      ["Native Overlay Diff", "true"],
      ["userxattr", "false"],
    ];
  }

  stat(name: string): SnapshotInfo | undefined {
    return this.#records.find(name);
  }

  list(): Iterable<SnapshotInfo> {
    return this.#records.all();
  }

  async prepare(
    key: string,
    parent: ChainId | undefined,
    options?: PrepareOptions,
  ): Promise<readonly Mount[]> {
    const below = this.#records.admit(key, parent);
    const directory = this.#directories.make();
    try {
      this.#fill(directory, below);
      this.#records.insertActive({
        name: key,
        parent,
        created: this.#deps.clock.now(),
        directory,
        volatile: options?.volatile ?? false,
      });
    } catch (error) {
      this.#directories.discard(directory);
      await this.#directories.empty();
      throw error;
    }
    return this.mounts(key);
  }

  /** The upper directory's own mode and owner are those of the merged root: they go on from the parent's. */
  #fill(directory: string, below: SnapshotRecord | undefined): void {
    const diff = this.#directories.path({ directory }, "diff");
    mkdirSync(diff);
    const root = below ? statSync(this.#diff(below)) : { mode: 0o755, uid: 0, gid: 0 };
    if (root.uid !== 0 || root.gid !== 0) chownSync(diff, root.uid, root.gid);
    chmodSync(diff, root.mode & 0o7777);
    mkdirSync(this.#directories.path({ directory }, "work"), { mode: 0o700 });
  }

  mounts(name: string, view = this.root): readonly Mount[] {
    const record = this.#records.get(name);
    const diff = join(view, record.directory, "diff");
    const lowers = this.#records.parents(record).map((parent) => join(view, parent.directory, "diff"));
    if (record.kind === "committed") {
      const all = [diff, ...lowers];
      if (all.length === 1) return [{ type: "bind", source: diff, options: ["ro"] }];
      return [{ type: "overlay", source: "overlay", options: ["ro", lowerdir(all), ...plain] }];
    }
    if (lowers.length === 0) return [{ type: "bind", source: diff, options: ["rw"] }];
    const work = join(view, record.directory, "work");
    const options = [lowerdir(lowers), `upperdir=${escaped(diff)}`, `workdir=${escaped(work)}`, ...plain];
    if (record.volatile) {
      // The kernel refuses a second volatile mount until its mark of the first is gone (overlayfs.rst, "Volatile mount").
      const mark = join(work, "work", "incompat");
      if (existsSync(mark)) rmSync(mark, { recursive: true, force: true });
      options.push("volatile");
    }
    return [{ type: "overlay", source: "overlay", options }];
  }

  commit(name: ChainId, key: string): Promise<void> {
    return this.#snapshots.commit(name, key);
  }

  remove(name: string): Promise<void> {
    return this.#snapshots.remove(name);
  }

  upperdir(name: string): string | undefined {
    return this.#diff(this.#records.get(name));
  }

  layout(name: string): SnapshotLayout {
    const record = this.#records.get(name);
    const lowers = this.#records.parents(record).map((parent) => this.#diff(parent));
    return { kind: "overlay", upper: this.#diff(record), lowers };
  }

  usage(name: string): Promise<Usage> {
    return this.#snapshots.usage(name);
  }

  describe(name: string, target: string): Readonly<Record<string, string>> {
    const record = this.#records.get(name);
    const lowers = this.#records.parents(record).map((parent) => this.#diff(parent));
    return {
      ...(lowers.length > 0 ? { LowerDir: lowers.join(":") } : {}),
      MergedDir: target,
      UpperDir: this.#diff(record),
      WorkDir: this.#directories.path(record, "work"),
    };
  }

  #diff(record: SnapshotRecord): string {
    return this.#directories.path(record, "diff");
  }
}

/** Overlay splits its option text at ":" and ","; "\" escapes both. */
function escaped(path: string): string {
  return path.replace(/[\\:,]/g, "\\$&");
}

function lowerdir(paths: readonly string[]): string {
  return `lowerdir=${paths.map(escaped).join(":")}`;
}

/** Opens the driver on its root and repairs what a crash left there. */
export async function openOverlay2(deps: Overlay2Deps): Promise<Snapshotter> {
  const driver = new Overlay2(deps);
  await driver.recover();
  return driver;
}
