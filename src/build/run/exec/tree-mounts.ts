import { posix } from "node:path";
import { notFound } from "../../../base/lib/errors.ts";
import { closeFd, O } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecMount } from "../../graph.ts";
import { missingSource } from "../missing-source.ts";
import type { StepContext } from "../runner.ts";
import {
  bindFound,
  bindOf,
  type MountContext,
  makeDirectory,
  mountActive,
  mountView,
  snapshotOf,
} from "./mount-context.ts";

type BindMount = Extract<ExecMount, { kind: "bind" }>;
type CacheMount = Extract<ExecMount, { kind: "cache" }>;

/** `--mount=type=bind`: a path of an input. What is written to a writable one is thrown away. */
export async function bindMount(context: MountContext, mount: BindMount, name: string): Promise<SpecMount> {
  const { deps, step, undo } = context;
  const snapshot = snapshotOf(step, mount.from);
  let tree: string;
  if (mount.readonly) tree = mountView(context, snapshot);
  else {
    const scratch =
      context.kept.get(Number(name)) ?? undo.use(await deps.snapshots.scratch(snapshot, step.signal));
    tree = makeDirectory(context, `scratch/${name}`);
    mountActive(context, scratch, tree);
    undo.defer(() => void unmountIfMounted(tree));
  }
  using root = RootedDir.open(tree);
  const found = openSource(root, mount.source, step);
  try {
    const source = bindFound(context, found, { name, readonly: mount.readonly });
    return bindOf(mount.target, source, mount.readonly);
  } finally {
    closeFd(found);
  }
}

/** Links are followed inside the tree, never out of it. */
function openSource(root: RootedDir, source: string, { vertex }: Pick<StepContext, "vertex">): number {
  try {
    return root.open(source || "/", O.PATH);
  } catch (error) {
    if (error instanceof SystemError && ["ENOENT", "ENOTDIR", "ELOOP", "EXDEV"].includes(error.code))
      throw notFound(missingSource(vertex, posix.join("/", source)), error);
    throw error;
  }
}

/** A part of a cache that nobody has made yet. What stands in the way is told by opening it. */
function makeSource(
  root: RootedDir,
  path: string,
  look: { readonly mode: number; readonly owner: { readonly uid: number; readonly gid: number } | undefined },
): void {
  if (root.tryStat(path)) return;
  try {
    root.mkdirAll(path, look.mode, look.owner);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

/** The order in which a step takes its caches, the same in every step: two that wait for each other would wait for ever. */
export function cacheOrder(a: CacheMount, b: CacheMount): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** `--mount=type=cache`: a directory that outlives the build. */
export async function cacheMount(context: MountContext, mount: CacheMount, name: string): Promise<SpecMount> {
  const { deps, step, undo } = context;
  const base = mount.from === undefined ? undefined : step.inputs[mount.from];
  const held = await deps.caches.acquire(
    {
      id: mount.id,
      sharing: mount.sharing,
      mode: mount.mode,
      uid: mount.uid,
      gid: mount.gid,
      description: `cached mount ${mount.target} from exec ${step.op.args.join(" ")} with id ${JSON.stringify(mount.id)}`,
      base: base && {
        key: `${base.key} ${mount.source}`,
        tree: () => {
          using root = RootedDir.open(mountView(context, base.snapshot));
          return openSource(root, mount.source, step);
        },
      },
      holder: context.work.id,
      freshFor: step.vertex.ignoreCache ? step.session.id : undefined,
    },
    step.signal,
  );
  undo.use(held);
  let directory = held.path;
  if (deps.remap) {
    directory = makeDirectory(context, `caches/${name}`);
    const mapped = directory;
    deps.remap.bind(held.path, mapped);
    undo.defer(() => void unmountIfMounted(mapped));
  }
  using root = RootedDir.open(directory);
  const path = base ? "/" : mount.source || "/";
  const owner = { uid: mount.uid, gid: mount.gid };
  makeSource(root, path, { mode: mount.mode, owner: deps.remap ? undefined : owner });
  const found = openSource(root, path, step);
  try {
    const source = bindFound(context, found, { name, readonly: mount.readonly });
    return bindOf(mount.target, source, mount.readonly);
  } finally {
    closeFd(found);
  }
}
