import { conflict } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { measureTree, type SnapshotDirectories } from "./directories.ts";
import type { SnapshotRecord, SnapshotRecords } from "./records.ts";
import type { Usage } from "./snapshotter.ts";
import { type SyncFileSystem, syncByProcess } from "./sync.ts";

export interface DirectorySnapshotsDeps {
  readonly records: SnapshotRecords;
  readonly directories: SnapshotDirectories;
  readonly sync: SyncFileSystem | undefined;
  /** Where a snapshot's own files lie. */
  readonly files: (record: SnapshotRecord) => string;
  /** What a snapshot alone holds, where that is not all of its files. */
  readonly measure?: (record: SnapshotRecord) => Promise<Usage>;
}

/** The end of a snapshot's life, the same for every driver that keeps each in a directory of its own. */
export class DirectorySnapshots {
  readonly #deps: DirectorySnapshotsDeps;

  constructor(deps: DirectorySnapshotsDeps) {
    this.#deps = deps;
  }

  /** Files first, then the record that names them (see the contract). */
  async commit(name: ChainId, key: string): Promise<void> {
    const { records, files, sync } = this.#deps;
    const record = records.get(key);
    if (record.kind !== "active") throw conflict(`snapshot ${key} is already committed`);
    if (record.volatile) throw conflict(`snapshot ${key} is volatile`);
    if (records.find(name)) throw conflict(`snapshot ${name} already exists`);
    await (sync ?? syncByProcess)(files(record));
    // Another unpack of the same layer may have been faster.
    if (records.find(name)) throw conflict(`snapshot ${name} already exists`);
    records.commit(name, key);
  }

  async remove(name: string): Promise<void> {
    const { records, directories } = this.#deps;
    const record = records.find(name);
    if (!record) return;
    if (records.hasChildren(name)) throw conflict(`snapshot ${name} has children`);
    directories.discard(record.directory);
    try {
      records.remove(name);
    } catch {
      // A full disk: with the files gone there is room for the record's removal.
      await directories.empty();
      records.remove(name);
    }
    await directories.empty();
  }

  /** A committed one does not change, so it is measured once. */
  async usage(name: string): Promise<Usage> {
    const { records, files, measure } = this.#deps;
    const record = records.get(name);
    if (record.usage) return record.usage;
    const usage = await (measure ? measure(record) : measureTree(files(record)));
    if (record.kind === "committed") records.measured(name, usage);
    return usage;
  }
}
