import { chmodSync, chownSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { conflict, invalid } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { DirectorySnapshots, type DriverFacts, type SnapshotterDeps } from "./directory-snapshots.ts";
import type { LayerStacks, StackedSnapshot } from "./layer-stacks.ts";
import type { ProjectQuotas } from "./project-quotas.ts";
import type { SnapshotRecord } from "./records.ts";
import type { CommitOptions, Mount, PrepareOptions, SnapshotLayout, Snapshotter } from "./snapshotter.ts";

/** The directories of a writable snapshot; `lowers` is not empty. */
export interface WritableParts {
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly volatile: boolean;
}

/** In what drivers of overlay's layout differ. */
export interface OverlayDriver extends DriverFacts {
  /** See `SnapshotLayout`. */
  readonly marks: boolean;
  readonly quotas: ProjectQuotas | undefined;
  mountWritable(parts: WritableParts): Mount;
  /** Takes out of an upper directory what must not be in a committed one. */
  readonly clean?: (upper: string) => Promise<void>;
}

/**
 * Features that would make an upper directory more than "files, whiteouts, opaque directories" (redirects, metadata-only
 * copies, an index of hard links) are off: layers are unpacked into and read from upper directories directly
 * (Documentation/filesystems/overlayfs.rst).
 */
export const plainOverlay = ["index=off", "metacopy=off", "redirect_dir=nofollow"] as const;

/**
 * Snapshots in overlay's layout: `<root>/<directory>/diff` holds a snapshot's own files, `work` is the file system's scratch
 * directory. Open it with `openOverlaySnapshots`, which repairs what a crash left.
 */
class OverlaySnapshots extends DirectorySnapshots<OverlayDriver> implements LayerStacks {
  async prepare(
    key: string,
    parent: ChainId | undefined,
    options: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    const below = this.records.admit(key, parent);
    const directory = this.directories.make();
    try {
      if (options.size) this.driver.quotas?.limit(this.directories.path({ directory }), options.size);
      this.#fill(directory, below);
      this.records.insertActive({
        name: key,
        parent,
        created: this.deps.clock.now(),
        directory,
        volatile: options.volatile ?? false,
      });
    } catch (error) {
      this.directories.discard(directory);
      await this.directories.empty();
      throw error;
    }
    return this.mounts(key);
  }

  #fill(directory: string, below: SnapshotRecord | undefined): void {
    const diff = this.directories.path({ directory }, "diff");
    mkdirSync(diff);
    inheritRoot(diff, below && this.files(below));
    mkdirSync(this.directories.path({ directory }, "work"), { mode: 0o700 });
  }

  mounts(name: string, view = this.root): readonly Mount[] {
    const record = this.records.get(name);
    const upper = join(view, record.directory, "diff");
    const lowers = this.#below(record, view);
    const committed = record.kind === "committed";
    if (lowers.length === 0) return [{ type: "bind", source: upper, options: [committed ? "ro" : "rw"] }];
    if (committed) {
      const options = ["ro", lowerdir([upper, ...lowers]), ...plainOverlay];
      return [{ type: "overlay", source: "overlay", options }];
    }
    const work = join(view, record.directory, "work");
    return [this.driver.mountWritable({ lowers, upper, work, volatile: record.volatile })];
  }

  override async commit(name: ChainId, key: string, options?: CommitOptions): Promise<void> {
    await this.driver.clean?.(this.files(this.records.get(key)));
    await super.commit(name, key, options);
  }

  async commitStack(
    parent: ChainId | undefined,
    layers: readonly StackedSnapshot[],
  ): Promise<readonly string[]> {
    const { records } = this;
    let below = parent === undefined ? undefined : records.get(parent);
    if (below && below.kind !== "committed") throw conflict(`snapshot ${parent} is not committed`);
    for (const { name, key, inheritsRoot } of layers) {
      const record = records.get(key);
      if (record.kind !== "active" || record.volatile || record.parent !== undefined)
        throw conflict(`snapshot ${key} cannot become a layer of a stack`);
      if (inheritsRoot) inheritRoot(this.files(record), below && this.files(below));
      await this.driver.clean?.(this.files(record));
      below = records.find(name) ?? record;
    }
    await this.writeBack();
    return records.commitStack(parent, layers);
  }

  upperdir(name: string): string | undefined {
    return this.files(this.records.get(name));
  }

  layout(name: string): SnapshotLayout {
    const record = this.records.get(name);
    const { base } = record;
    const lowers = this.#below({ ...record, base: undefined });
    const { marks } = this.driver;
    return {
      kind: "overlay",
      upper: this.files(record),
      ...(base === undefined ? {} : { base: this.files({ directory: base }) }),
      lowers,
      ...(marks ? { marks } : {}),
    };
  }

  /**
   * Directories below a snapshot's own: what completes it, then its parents and what completes them. One that is there already is not needed further down,
   * as what it would show there it shows above; and the kernel takes none twice.
   */
  #below(record: SnapshotRecord, view = this.root): readonly string[] {
    const below = this.records.parents(record).flatMap(({ directory, base }) => [directory, base]);
    const directories = [record.base, ...below].filter((directory) => directory !== undefined);
    return [...new Set(directories)].map((directory) => join(view, directory, "diff"));
  }

  describe(name: string, target: string): Readonly<Record<string, string>> {
    const record = this.records.get(name);
    const lowers = this.#below(record);
    return {
      ...(lowers.length > 0 ? { LowerDir: lowers.join(":") } : {}),
      MergedDir: target,
      UpperDir: this.files(record),
      WorkDir: this.directories.path(record, "work"),
    };
  }

  protected files(record: Pick<SnapshotRecord, "directory">): string {
    return this.directories.path(record, "diff");
  }
}

/** The upper directory's own mode and owner are those of the merged root: they go on from the parent's. */
function inheritRoot(diff: string, below: string | undefined): void {
  const root = below === undefined ? { mode: 0o755, uid: 0, gid: 0 } : statSync(below);
  const own = statSync(diff);
  if (root.uid !== own.uid || root.gid !== own.gid) chownSync(diff, root.uid, root.gid);
  chmodSync(diff, root.mode & 0o7777);
}

/** Overlay splits its option text at ":" and ","; "\" escapes both. */
function escaped(path: string): string {
  return path.replace(/[\\:,]/g, "\\$&");
}

/** Directories that one mount of the kernel's overlay can have below (OVL_MAX_STACK, fs/overlayfs/params.h). */
const maxStack = 500;

function lowerdir(paths: readonly string[]): string {
  if (paths.length > maxStack)
    throw invalid(
      `max depth exceeded: ${paths.length} layers, of which overlay takes ${maxStack}: make fewer, larger steps`,
    );
  return `lowerdir=${paths.map(escaped).join(":")}`;
}

/** The mount options for the directories, as the kernel's overlay and fuse-overlayfs read them. */
export function directoryOptions({ lowers, upper, work }: WritableParts): string[] {
  return [lowerdir(lowers), `upperdir=${escaped(upper)}`, `workdir=${escaped(work)}`];
}

/** Opens the driver on its root and repairs what a crash left there. */
export async function openOverlaySnapshots(
  deps: SnapshotterDeps,
  driver: OverlayDriver,
): Promise<Snapshotter> {
  const snapshots = new OverlaySnapshots(deps, driver);
  await snapshots.recover();
  return snapshots;
}
