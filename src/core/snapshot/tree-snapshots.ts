import { join } from "node:path";
import { conflict } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { DirectorySnapshots, type DriverFacts, type SnapshotterDeps } from "./directory-snapshots.ts";
import type { SnapshotRecord } from "./records.ts";
import type { Mount, PrepareOptions, SnapshotLayout, Snapshotter, Usage } from "./snapshotter.ts";

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
export interface TreeDriver extends DriverFacts {
  make(wanted: NewTree): Promise<void>;
  /** Bytes and inodes of a tree's own where they are not all of it. */
  readonly measure?: (tree: string, parent: string | undefined) => Promise<Usage>;
}

/** Snapshots that are whole trees: `<root>/<directory>/tree`. Open them with `openTreeSnapshots`. */
class TreeSnapshots extends DirectorySnapshots<TreeDriver> {
  /** Keys whose tree is being made and has no record yet. */
  readonly #preparing = new Set<string>();

  async prepare(
    key: string,
    parent: ChainId | undefined,
    options: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    if (this.#preparing.has(key)) throw conflict(`snapshot ${key} already exists`);
    const below = this.records.admit(key, parent);
    const name = this.directories.make();
    const directory = this.directories.path({ directory: name });
    this.#preparing.add(key);
    try {
      await this.driver.make({
        directory,
        tree: join(directory, "tree"),
        parent: below && this.files(below),
        size: options.size,
      });
      this.records.admit(key, parent);
      const created = this.deps.clock.now();
      this.records.insertActive({ name: key, parent, created, directory: name, volatile: false });
    } catch (error) {
      this.directories.discard(name);
      await this.directories.empty();
      throw error;
    } finally {
      this.#preparing.delete(key);
    }
    return this.mounts(key);
  }

  mounts(name: string, view = this.root): readonly Mount[] {
    const record = this.records.get(name);
    const mode = record.kind === "committed" ? "ro" : "rw";
    return [{ type: "bind", source: join(view, record.directory, "tree"), options: [mode] }];
  }

  upperdir(): string | undefined {
    return undefined;
  }

  layout(name: string): SnapshotLayout {
    const record = this.records.get(name);
    return { kind: "tree", tree: this.files(record), parent: this.#parentTree(record) };
  }

  describe(): Readonly<Record<string, string>> {
    return {};
  }

  protected files(record: SnapshotRecord): string {
    return this.directories.path(record, "tree");
  }

  protected override measure(record: SnapshotRecord): Promise<Usage> {
    const { measure } = this.driver;
    return measure ? measure(this.files(record), this.#parentTree(record)) : super.measure(record);
  }

  #parentTree(record: SnapshotRecord): string | undefined {
    return record.parent === undefined ? undefined : this.files(this.records.get(record.parent));
  }
}

/** Opens the driver on its root and repairs what a crash left there. */
export async function openTreeSnapshots(deps: SnapshotterDeps, driver: TreeDriver): Promise<Snapshotter> {
  const snapshots = new TreeSnapshots(deps, driver);
  await snapshots.recover();
  return snapshots;
}
