import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import { conflict } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import type { Database } from "../../base/store/database.ts";
import { type DirectoryHooks, isDirectory, SnapshotDirectories } from "./directories.ts";
import { DirectorySnapshots } from "./directory-snapshots.ts";
import { type SnapshotRecord, SnapshotRecords } from "./records.ts";
import type {
  Mount,
  PrepareOptions,
  SnapshotInfo,
  SnapshotLayout,
  Snapshotter,
  Usage,
} from "./snapshotter.ts";
import type { SyncFileSystem } from "./sync.ts";

export interface TreeDeps {
  readonly db: Database;
  /** Directory of this driver alone, e.g. /var/lib/tug/vfs. */
  readonly root: string;
  readonly clock: Clock;
  readonly sync?: SyncFileSystem;
}

export interface NewTree {
  /** The directory that gets the tree; it exists. */
  readonly directory: string;
  /** What to make in it: a directory. */
  readonly tree: string;
  /** The tree to begin as; undefined for an empty one. */
  readonly parent: string | undefined;
  readonly size: number | undefined;
}

/** In what drivers that keep whole trees differ. */
export interface TreeDriver {
  readonly name: string;
  readonly hooks: DirectoryHooks;
  status(): readonly (readonly [string, string])[];
  readOptions(options: Readonly<Record<string, string>>): Pick<PrepareOptions, "size">;
  make(wanted: NewTree): Promise<void>;
  /** Bytes and inodes of a tree's own where they are not all of it. */
  readonly measure?: (tree: string, parent: string | undefined) => Promise<Usage>;
}

/** Snapshots that are whole trees: `<root>/<directory>/tree`. Open them with `openTreeSnapshots`. */
class TreeSnapshots implements Snapshotter {
  readonly name: string;
  readonly root: string;
  readonly #deps: TreeDeps;
  readonly #driver: TreeDriver;
  readonly #records: SnapshotRecords;
  readonly #directories: SnapshotDirectories;
  readonly #snapshots: DirectorySnapshots;
  /** Keys whose tree is being made and has no record yet. */
  readonly #preparing = new Set<string>();

  constructor(deps: TreeDeps, driver: TreeDriver) {
    this.#deps = deps;
    this.#driver = driver;
    this.name = driver.name;
    this.root = deps.root;
    this.#records = new SnapshotRecords(deps.db, this.name);
    this.#directories = new SnapshotDirectories(deps.root, this.#records, driver.hooks);
    const { measure } = driver;
    this.#snapshots = new DirectorySnapshots({
      records: this.#records,
      directories: this.#directories,
      sync: deps.sync,
      files: (record) => this.#tree(record),
      ...(measure ? { measure: (record) => measure(this.#tree(record), this.#parentTree(record)) } : {}),
    });
  }

  recover(): Promise<void> {
    return this.#directories.recover((record) => isDirectory(this.#tree(record)));
  }

  status(): readonly (readonly [string, string])[] {
    return this.#driver.status();
  }

  stat(name: string): SnapshotInfo | undefined {
    return this.#records.find(name);
  }

  list(): Iterable<SnapshotInfo> {
    return this.#records.all();
  }

  readOptions(options: Readonly<Record<string, string>>): Pick<PrepareOptions, "size"> {
    return this.#driver.readOptions(options);
  }

  async prepare(
    key: string,
    parent: ChainId | undefined,
    options: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    if (this.#preparing.has(key)) throw conflict(`snapshot ${key} already exists`);
    const below = this.#records.admit(key, parent);
    const name = this.#directories.make();
    const directory = this.#directories.path({ directory: name });
    this.#preparing.add(key);
    try {
      await this.#driver.make({
        directory,
        tree: join(directory, "tree"),
        parent: below && this.#tree(below),
        size: options.size,
      });
      this.#records.admit(key, parent);
      const created = this.#deps.clock.now();
      this.#records.insertActive({ name: key, parent, created, directory: name, volatile: false });
    } catch (error) {
      this.#directories.discard(name);
      await this.#directories.empty();
      throw error;
    } finally {
      this.#preparing.delete(key);
    }
    return this.mounts(key);
  }

  mounts(name: string, view = this.root): readonly Mount[] {
    const record = this.#records.get(name);
    const mode = record.kind === "committed" ? "ro" : "rw";
    return [{ type: "bind", source: join(view, record.directory, "tree"), options: [mode] }];
  }

  commit(name: ChainId, key: string): Promise<void> {
    return this.#snapshots.commit(name, key);
  }

  remove(name: string): Promise<void> {
    return this.#snapshots.remove(name);
  }

  upperdir(): string | undefined {
    return undefined;
  }

  layout(name: string): SnapshotLayout {
    const record = this.#records.get(name);
    return { kind: "tree", tree: this.#tree(record), parent: this.#parentTree(record) };
  }

  usage(name: string): Promise<Usage> {
    return this.#snapshots.usage(name);
  }

  describe(): Readonly<Record<string, string>> {
    return {};
  }

  #tree(record: SnapshotRecord): string {
    return this.#directories.path(record, "tree");
  }

  #parentTree(record: SnapshotRecord): string | undefined {
    return record.parent === undefined ? undefined : this.#tree(this.#records.get(record.parent));
  }
}

/** Opens the driver on its root and repairs what a crash left there. */
export async function openTreeSnapshots(deps: TreeDeps, driver: TreeDriver): Promise<Snapshotter> {
  const snapshots = new TreeSnapshots(deps, driver);
  await snapshots.recover();
  return snapshots;
}
