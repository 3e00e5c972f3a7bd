import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../../base/lib/clock.ts";
import { conflict, internal, TugError } from "../../../../base/lib/errors.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import type { Database } from "../../../../base/store/database.ts";
import { isDirectory, measureTree, SnapshotDirectories } from "../../directories.ts";
import { type SnapshotRecord, SnapshotRecords } from "../../records.ts";
import type { Mount, SnapshotInfo, SnapshotLayout, Snapshotter, Usage } from "../../snapshotter.ts";
import { type SyncFileSystem, syncByProcess } from "../../sync.ts";

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
  /** Keys whose copy is under way and has no record yet. */
  readonly #preparing = new Set<string>();

  constructor(deps: VfsDeps) {
    this.#deps = deps;
    this.root = deps.root;
    this.#records = new SnapshotRecords(deps.db, this.name);
    this.#directories = new SnapshotDirectories(deps.root, this.#records);
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

  async commit(name: ChainId, key: string): Promise<void> {
    const record = this.#records.get(key);
    if (record.kind !== "active") throw conflict(`snapshot ${key} is already committed`);
    if (this.#records.find(name)) throw conflict(`snapshot ${name} already exists`);
    await (this.#deps.sync ?? syncByProcess)(this.#tree(record));
    // Another unpack of the same layer may have been faster.
    if (this.#records.find(name)) throw conflict(`snapshot ${name} already exists`);
    this.#records.commit(name, key);
  }

  async remove(name: string): Promise<void> {
    const record = this.#records.find(name);
    if (!record) return;
    if (this.#records.hasChildren(name)) throw conflict(`snapshot ${name} has children`);
    this.#directories.discard(record.directory);
    try {
      this.#records.remove(name);
    } catch {
      // A full disk: with the files gone there is room for the record's removal.
      await this.#directories.empty();
      this.#records.remove(name);
    }
    await this.#directories.empty();
  }

  upperdir(): string | undefined {
    return undefined;
  }

  layout(name: string): SnapshotLayout {
    const record = this.#records.get(name);
    const [parent] = this.#records.parents(record);
    return { kind: "tree", tree: this.#tree(record), parent: parent && this.#tree(parent) };
  }

  async usage(name: string): Promise<Usage> {
    const record = this.#records.get(name);
    if (record.usage) return record.usage;
    const usage = await measureTree(this.#tree(record));
    if (record.kind === "committed") this.#records.measured(name, usage);
    return usage;
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
