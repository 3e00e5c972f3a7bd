import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Database } from "../../base/store/database.ts";
import { bootId } from "../../base/sys/boot-id.ts";
import type { CacheMounts } from "../../build/cache/mounts/cache-mounts.ts";
import { cacheMountObjects } from "../../build/cache/mounts/objects.ts";
import { SnapshotContentKeys } from "../../build/run/file/content-keys.ts";
import { type CopyNotes, pruneNotes } from "../../build/run/file/copy/copy-notes.ts";
import { BuildFilesHelper } from "../../build/run/file/helper.ts";
import type { StepSnapshots } from "../../build/run/runner.ts";
import { GitRunner } from "../../build/run/sources/git.ts";
import { HttpStore } from "../../build/run/sources/http-store.ts";
import { withKeptTrees } from "../../build/run/sources/kept-snapshots.ts";
import { KeptTrees } from "../../build/run/sources/kept-trees.ts";
import { contextObjects, downloadObjects, repositoryObjects } from "../../build/run/sources/objects.ts";
import type { GcPolicy } from "../../build/solve/gc-policy.ts";
import type { CacheObjects } from "../../build/solve/objects.ts";
import { type BuildStore, openBuildStore } from "../../build/solve/open.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { ImageParts } from "../engine/images.ts";
import { helperCommand } from "../executable.ts";
import { cacheMounts } from "./exec.ts";

/** Bytes that a file of the network may have. */
const downloadLimit = 64 * 1024 ** 3;

/** What stays from build to build, below `<data root>/build`, and the helper that touches its files. */
export interface BuildStorage {
  readonly store: BuildStore;
  readonly caches: CacheMounts;
  /** Contexts of clients. */
  readonly trees: KeptTrees;
  /** The results of steps, and kept trees among them. */
  readonly steps: StepSnapshots;
  readonly content: SnapshotContentKeys;
  /** Of what steps copied. */
  readonly notes: CopyNotes;
  readonly downloads: HttpStore;
  readonly git: GitRunner;
  readonly helper: BuildFilesHelper;
  /** A directory for what a build writes and takes away. */
  readonly scratch: string;
}

/** Opens it; what has to be closed is pushed on `owned`. */
export async function openBuildStorage(
  parts: {
    readonly dataRoot: string;
    readonly database: Database;
    readonly images: ImageParts;
    readonly snapshots: Snapshotter;
    readonly policy: () => GcPolicy;
    readonly clock: Clock;
    readonly log: Log;
  },
  owned: AsyncDisposableStack,
): Promise<BuildStorage> {
  const { dataRoot, snapshots, policy, clock, log } = parts;
  const place = (name: string) => {
    const path = join(dataRoot, "build", name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  const notes: CopyNotes = { directory: place("copies"), trees: snapshots.root };
  const caches = cacheMounts({ dataRoot, clock, log });
  const objects: CacheObjects[] = [cacheMountObjects(caches)];
  const store = openBuildStore({
    db: parts.database,
    snapshots,
    layers: parts.images.store,
    objects: () => objects,
    policy,
    pruned: () => {
      content.prune((name) => snapshots.stat(name) !== undefined);
      pruneNotes(notes, { idle: false });
    },
    directory: place("state"),
    clock,
    log,
  });
  owned.use(store.collector);
  const helper = owned.use(new BuildFilesHelper({ helperCommand: helperCommand() }));
  const trees = await KeptTrees.open({ root: place("contexts"), clock, log, bootId: bootId() });
  const steps = withKeptTrees({ snapshots: store.steps, trees, helper });
  const scratch = place("scratch");
  const content = new SnapshotContentKeys({
    helper,
    snapshots: steps,
    trees,
    scratch,
    root: place("digests"),
  });
  pruneNotes(notes, { idle: true });
  const downloads = new HttpStore({ root: place("downloads"), clock, sizeLimit: downloadLimit });
  const git = new GitRunner({ root: place("git"), snapshots: steps, clock, log });
  objects.push(contextObjects(trees), downloadObjects(downloads), repositoryObjects(git));
  return { store, caches, trees, steps, content, notes, downloads, git, helper, scratch };
}

/** Layers of steps as exports read them: their names change while builds hold them. */
export function currentLayers(
  store: BuildStore,
  snapshots: Snapshotter,
): Pick<Snapshotter, "layout" | "stat"> {
  return {
    layout: (name) => store.steps.layout(name as ChainId),
    stat: (name) => snapshots.stat(store.steps.current(name as ChainId)),
  };
}
