import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../../base/lib/clock.ts";
import { conflict, internal, TugError } from "../../../../base/lib/errors.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import type { Database } from "../../../../base/store/database.ts";
import { isDirectory, SnapshotDirectories } from "../../directories.ts";
import { DirectorySnapshots } from "../../directory-snapshots.ts";
import { type SnapshotRecord, SnapshotRecords } from "../../records.ts";
import type { Mount, SnapshotInfo, SnapshotLayout, Snapshotter, Usage } from "../../snapshotter.ts";
import type { SyncFileSystem } from "../../sync.ts";

export interface VfsDeps {
  readonly db: Database;
  /** Directory of this driver alone, e.g. /var/lib/tug/vfs. */
  readonly root: string;
  readonly clock: Clock;
  readonly sync?: SyncFileSystem;
  /** Copies the contents of one directory into another, metadata, links and nodes included. */
  readonly copy?: (from: string, to: string) => Promise<void>;
}

/**
 * Snapshots that are whole copies: for hosts or file systems where overlay cannot be mounted. `<root>/<directory>/tree` is
 * the full tree. Slow and large, and right everywhere; a file system with reflinks shares the data.
 */
class Vfs implements Snapshotter {
  readonly name = "vfs";
  readonly root: string;
  readonly #deps: VfsDeps;
  readonly #records: SnapshotRecords;
  readonly #directories: SnapshotDirectories;
  readonly #snapshots: DirectorySnapshots;
  /** Keys whose copy is under way and has no record yet. */
  readonly #preparing = new Set<string>();

  constructor(deps: VfsDeps) {
    this.#deps = deps;
    this.root = deps.root;
    this.#records = new SnapshotRecords(deps.db, this.name);
    this.#directories = new SnapshotDirectories(deps.root, this.#records);
    this.#snapshots = new DirectorySnapshots({
      records: this.#records,
      directories: this.#directories,
      sync: deps.sync,
      files: (record) => this.#tree(record),
    });
  }

  recover(): Promise<void> {
    return this.#directories.recover((record) => isDirectory(this.#tree(record)));
  }

  status(): readonly (readonly [string, string])[] {
    return [];
  }

  stat(name: string): SnapshotInfo | undefined {
    return this.#records.find(name);
  }

  list(): Iterable<SnapshotInfo> {
    return this.#records.all();
  }

  async prepare(key: string, parent: ChainId | undefined): Promise<readonly Mount[]> {
    if (this.#preparing.has(key)) throw conflict(`snapshot ${key} already exists`);
    const below = this.#records.admit(key, parent);
    const directory = this.#directories.make();
    const tree = this.#directories.path({ directory }, "tree");
    this.#preparing.add(key);
    try {
      mkdirSync(tree, { mode: 0o755 });
      if (below) await (this.#deps.copy ?? copyByProcess)(this.#tree(below), tree);
      this.#records.admit(key, parent);
      const created = this.#deps.clock.now();
      this.#records.insertActive({ name: key, parent, created, directory, volatile: false });
    } catch (error) {
      this.#directories.discard(directory);
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
    const [parent] = this.#records.parents(record);
    return { kind: "tree", tree: this.#tree(record), parent: parent && this.#tree(parent) };
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
}

/** cp(1) of coreutils keeps hard links, holes, nodes and attributes, and shares blocks where the file system can. */
async function copyByProcess(from: string, to: string): Promise<void> {
  const child = Bun.spawn(["cp", "--archive", "--reflink=auto", "--", `${from}/.`, to], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, LC_ALL: "C" },
  });
  const [code, text] = await Promise.all([child.exited, child.stderr.text()]);
  if (code === 0) return;
  if (text.includes("No space left")) throw new TugError("resource-exhausted", "no space left on device");
  throw internal(`copying ${from}: ${text.trim().split("\n")[0] ?? ""}`);
}

/** Opens the driver on its root and repairs what a crash left there. */
export async function openVfs(deps: VfsDeps): Promise<Snapshotter> {
  const driver = new Vfs(deps);
  await driver.recover();
  return driver;
}
