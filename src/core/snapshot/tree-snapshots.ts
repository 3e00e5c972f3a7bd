import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { conflict } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import type { FileStat } from "../../base/sys/stat.ts";
import { snapshotChanges } from "./changes.ts";
import { isDirectory } from "./directories.ts";
import { DirectorySnapshots, type DriverFacts, type SnapshotterDeps } from "./directory-snapshots.ts";
import { type Measured, measureNodes } from "./measure.ts";
import type { SnapshotRecord } from "./records.ts";
import type { CommitOptions, Mount, PrepareOptions, SnapshotLayout, Snapshotter } from "./snapshotter.ts";

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
  /** A tree shares the blocks of its parent: only what differs is its own. */
  readonly shares: boolean;
  readonly volumes?: TreeVolumes;
  /** GraphDriver.Data of inspect. */
  readonly describe?: (tree: string) => Readonly<Record<string, string>>;
}

/**
 * For drivers whose trees are file systems of their own, mounted on the tree's directory in the daemon's namespace from when they are
 * needed until the snapshot is committed or removed.
 */
export interface TreeVolumes {
  /** Mounts a tree that is not mounted; a committed one is not written to any more. */
  attach(tree: string, kind: SnapshotRecord["kind"]): void;
  /** Unmounts a tree if it is mounted, and may leave it when it is busy. */
  detach(tree: string): void;
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

  /** A tree lies where it lies, `view` or not: it may be a file system of its own. Whoever maps ids maps this mount. */
  mounts(name: string): readonly Mount[] {
    const record = this.records.get(name);
    this.#attach(record);
    const mode = record.kind === "committed" ? "ro" : "rw";
    return [{ type: "bind", source: join(this.root, record.directory, "tree"), options: [mode] }];
  }

  upperdir(): string | undefined {
    return undefined;
  }

  layout(name: string): SnapshotLayout {
    const record = this.records.get(name);
    this.#attach(record);
    const parent = () => this.#parentTree(record);
    // Who unpacks does not look at the parent, and it need not be mounted then.
    return {
      kind: "tree",
      tree: this.files(record),
      get parent() {
        return parent();
      },
    };
  }

  /** Each file system is synced by itself; committed, it needs no mount until somebody looks. */
  override async commit(name: ChainId, key: string, options: CommitOptions = {}): Promise<void> {
    const { volumes } = this.driver;
    if (!volumes) return await super.commit(name, key, options);
    this.#attach(this.records.get(key));
    await super.commit(name, key);
    volumes.detach(this.files(this.records.get(name)));
  }

  describe(name: string): Readonly<Record<string, string>> {
    return this.driver.describe?.(this.files(this.records.get(name))) ?? {};
  }

  protected files(record: Pick<SnapshotRecord, "directory">): string {
    return this.directories.path(record, "tree");
  }

  protected override measure(record: SnapshotRecord): Promise<Measured> {
    return this.driver.shares ? measureNodes(ownNodes(this.layout(record.name))) : super.measure(record);
  }

  #attach(record: SnapshotRecord): void {
    const tree = this.files(record);
    if (this.driver.volumes && !isMounted(tree)) this.driver.volumes.attach(tree, record.kind);
  }

  #parentTree(record: SnapshotRecord): string | undefined {
    if (record.parent === undefined) return undefined;
    const parent = this.records.get(record.parent);
    this.#attach(parent);
    return this.files(parent);
  }
}

function isMounted(tree: string): boolean {
  return isDirectory(tree) && statSync(tree).dev !== statSync(dirname(tree)).dev;
}

/** The root and what differs from the parent; blocks that a changed file still shares with it are counted, as Docker counts them. */
function* ownNodes(layout: SnapshotLayout): Generator<FileStat, void, undefined> {
  for (const change of snapshotChanges(layout)) {
    if (change.kind === "deleted") continue;
    if (change.path === "" || !change.quiet) yield change.node.stat;
  }
}

/** Opens the driver on its root and repairs what a crash left there. */
export async function openTreeSnapshots(deps: SnapshotterDeps, driver: TreeDriver): Promise<Snapshotter> {
  const snapshots = new TreeSnapshots(deps, driver);
  await snapshots.recover();
  return snapshots;
}
