import { relative } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import { conflict, notFound } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Database } from "../../base/store/database.ts";
import { type SyncFileSystem, syncByProcess } from "../../base/sys/sync.ts";
import { type DirectoryHooks, isDirectory, SnapshotDirectories } from "./directories.ts";
import { type Measured, measureAlone, measureTree } from "./measure.ts";
import { type SnapshotRecord, SnapshotRecords } from "./records.ts";
import type {
  CommitOptions,
  CountedFiles,
  Mount,
  PrepareOptions,
  SnapshotInfo,
  SnapshotLayout,
  Snapshotter,
  Usage,
} from "./snapshotter.ts";

export interface SnapshotterDeps {
  readonly db: Database;
  /** Directory of this driver alone, e.g. /var/lib/tug/overlay2. */
  readonly root: string;
  readonly clock: Clock;
  readonly sync?: SyncFileSystem;
  /** Told of what a crash left and cannot be removed. */
  readonly log?: Log;
}

/** What every driver says of itself. */
export interface DriverFacts {
  readonly name: string;
  readonly hooks: DirectoryHooks;
  status(): readonly (readonly [string, string])[];
  readOptions(options: Readonly<Record<string, string>>): Pick<PrepareOptions, "size">;
}

/** What is the same for every driver that keeps each snapshot in a directory of its own. */
export abstract class DirectorySnapshots<Driver extends DriverFacts> implements Snapshotter {
  readonly name: string;
  readonly root: string;
  protected readonly deps: SnapshotterDeps;
  protected readonly driver: Driver;
  protected readonly records: SnapshotRecords;
  protected readonly directories: SnapshotDirectories;
  /** Counts `filesShared`: what is measured meanwhile may be neither the one nor the other. */
  #sharings = 0;
  /** Of what is kept without a record of its own, by directory. */
  readonly #kept = new Map<string, Usage>();

  constructor(deps: SnapshotterDeps, driver: Driver) {
    this.deps = deps;
    this.driver = driver;
    this.name = driver.name;
    this.root = deps.root;
    this.records = new SnapshotRecords(deps.db, driver.name);
    this.directories = new SnapshotDirectories(deps.root, this.records, driver.hooks);
  }

  abstract prepare(
    key: string,
    parent: ChainId | undefined,
    options?: PrepareOptions,
  ): Promise<readonly Mount[]>;
  abstract mounts(name: string, view?: string): readonly Mount[];
  abstract upperdir(name: string): string | undefined;
  abstract layout(name: string): SnapshotLayout;
  abstract describe(name: string, target: string): Readonly<Record<string, string>>;
  /** Where a snapshot's own files lie. */
  protected abstract files(record: Pick<SnapshotRecord, "directory">): string;

  /** Repairs what a crash left. */
  async recover(): Promise<void> {
    const lies = (directory: string) => isDirectory(this.files({ directory }));
    const stayed = await this.directories.recover(
      ({ directory, base }) => lies(directory) && (base === undefined || lies(base)),
    );
    for (const [directory, error] of stayed)
      this.deps.log?.warn("files of a removed snapshot cannot be removed", { directory, error });
  }

  status(): readonly (readonly [string, string])[] {
    return this.driver.status();
  }

  stat(name: string): SnapshotInfo | undefined {
    return this.records.find(name);
  }

  list(): Iterable<SnapshotInfo> {
    return this.records.all();
  }

  readOptions(options: Readonly<Record<string, string>>): Pick<PrepareOptions, "size"> {
    return this.driver.readOptions(options);
  }

  /** Files first, then the record that names them (see the contract). */
  async commit(name: ChainId, key: string, options: CommitOptions = {}): Promise<void> {
    const { records } = this;
    const record = records.get(key);
    if (record.kind !== "active") throw conflict(`snapshot ${key} is already committed`);
    if (record.volatile && !options.relaxed) throw conflict(`snapshot ${key} is volatile`);
    if (records.find(name)) throw conflict(`snapshot ${name} already exists`);
    const base = options.base === undefined ? undefined : this.directoryOf(options.base);
    const whole = () => {
      if (base === undefined || (records.at(base) ?? records.completedBy(base)[0])) return;
      throw notFound(`the files of ${options.base} are gone`);
    };
    whole();
    if (options.relaxed) return records.commit(name, key, { lazily: true, base });
    await (this.deps.sync ?? syncByProcess)(this.files(record));
    // Another unpack of the same layer may have been faster.
    if (records.find(name)) throw conflict(`snapshot ${name} already exists`);
    whole();
    records.commit(name, key, { base });
  }

  /** One driver's snapshots lie on one file system. */
  async writeBack(): Promise<void> {
    await (this.deps.sync ?? syncByProcess)(this.root);
  }

  async sync(): Promise<void> {
    await this.writeBack();
    this.records.settle();
  }

  rename(from: ChainId, to: ChainId): void {
    this.records.rename(from, to);
  }

  async remove(name: string): Promise<void> {
    const { records, directories } = this;
    const record = records.find(name);
    if (!record) return;
    if (records.hasChildren(name)) throw conflict(`snapshot ${name} has children`);
    // Files that complete others stay as long as these.
    const completes = records.completedBy(record.directory).length > 0;
    const discarded = completes ? undefined : directories.discard(record.directory);
    try {
      records.remove(name);
    } catch {
      // A full disk: with the files gone there is room for the record's removal.
      await directories.empty();
      records.remove(name);
    }
    await this.#dropBase(record.base);
    await directories.empty(discarded);
  }

  async completed(name: string): Promise<void> {
    const { base } = this.records.get(name);
    if (base === undefined) return;
    this.records.complete(name);
    await this.#dropBase(base);
  }

  /** Files that were kept for others' sake alone. */
  async #dropBase(base: string | undefined): Promise<void> {
    if (base === undefined || this.records.at(base) || this.records.completedBy(base).length > 0) return;
    this.#kept.delete(base);
    await this.directories.empty(this.directories.discard(base));
  }

  /** Name of the directory that a path lies in. */
  protected directoryOf(path: string): string {
    return relative(this.root, path).split("/", 1)[0] ?? "";
  }

  async usage(name: string, counted?: CountedFiles): Promise<Usage> {
    const record = this.records.get(name);
    const own = await this.#own(record);
    const kept = await this.#keptFor(record);
    let bytes = own.bytes + kept.bytes;
    let inodes = own.inodes + kept.inodes;
    for (const file of counted ? own.shared : []) {
      if (counted?.has(file.ino)) {
        bytes -= file.bytes;
        inodes--;
      }
      counted?.add(file.ino);
    }
    return { bytes, inodes };
  }

  async reclaimable(name: string): Promise<number> {
    const { records } = this;
    const record = records.get(name);
    if (records.completedBy(record.directory).length > 0) return 0;
    const own = await this.#own(record);
    const alone = own.shared.length > 0 ? await measureAlone(this.files(record)) : own.bytes;
    // What is kept for its sake goes only if it is the last.
    const isLast = record.base !== undefined && records.completedBy(record.base).length === 1;
    return alone + (isLast ? (await this.#keptFor(record)).bytes : 0);
  }

  /** What its own files take. A committed one does not change, so it is measured once, and again when it came to share files with others. */
  async #own(record: SnapshotRecord): Promise<Measured> {
    if (record.kind === "active") return await this.measure(record);
    const known = this.records.measurement(record);
    if (known) return known;
    const before = this.#sharings;
    const measured = await this.measure(record);
    if (before === this.#sharings) this.records.measured(record, measured);
    return measured;
  }

  /** Files of a snapshot that is gone, kept for those that they complete: they count with the first of these. */
  async #keptFor({ name, base }: SnapshotRecord): Promise<Usage> {
    const { records } = this;
    if (base === undefined || records.at(base) || records.completedBy(base)[0]?.name !== name)
      return { bytes: 0, inodes: 0 };
    const known = this.#kept.get(base);
    if (known) return known;
    const measured = await measureTree(this.files({ directory: base }));
    this.#kept.set(base, measured);
    return measured;
  }

  filesShared(...paths: readonly string[]): void {
    this.#sharings++;
    for (const path of paths) this.records.shares(this.directoryOf(path));
  }

  sharing(): readonly string[] {
    return this.records.sharing();
  }

  /** What a snapshot alone holds. */
  protected measure(record: SnapshotRecord): Promise<Measured> {
    return measureTree(this.files(record));
  }
}
