import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { invalid, notFound } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { bindDescriptor } from "../../../base/sys/mount/tree.ts";
import { lstatat } from "../../../base/sys/stat.ts";
import type { IdMap, SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecOp } from "../../graph.ts";
import type { ActiveStep, StepContext } from "../runner.ts";
import type { ExecDeps } from "./deps.ts";
import type { SecretValue } from "./secret-scan.ts";
import { passable, type Workspace } from "./workspace.ts";

/** What the mounts of one step are made with. Everything is undone by `undo`, what was made last first. */
export interface MountContext {
  readonly deps: ExecDeps;
  readonly step: StepContext<ExecOp>;
  readonly work: Workspace;
  readonly undo: AsyncDisposableStack;
  /** Writable mounts that are kept, by their index. */
  readonly kept: ReadonlyMap<number, ActiveStep>;
  /** Read-only views of inputs, by snapshot: mounts of one input share theirs. */
  readonly views: Map<ChainId | undefined, string>;
  /** Paths of what is mounted once for several. */
  readonly tmpfs: Set<string>;
}

/** What the mounts come to. */
export interface StepMounts {
  readonly mounts: readonly SpecMount[];
  /** Secrets: they win over what the step has. */
  readonly env: readonly string[];
  /** SSH_AUTH_SOCK, for a step that says nothing itself. */
  readonly agent: string | undefined;
  /** What must not be in the layer. */
  readonly secrets: readonly SecretValue[];
}

/** A new directory of the step's own that the step's root may pass through. */
export function makeDirectory({ deps, work }: MountContext, name: string): string {
  const path = join(work.directory, name);
  for (let at = path; at !== work.directory; at = dirname(at)) {
    mkdirSync(at, { recursive: true, mode: 0o700 });
    if (deps.remap) passable(at, deps.remap);
  }
  return path;
}

/** Mounts a committed snapshot, or nothing, read-only. */
export function mountView(context: MountContext, snapshot: ChainId | undefined): string {
  const { deps, undo, views } = context;
  const known = views.get(snapshot);
  if (known !== undefined) return known;
  const target = makeDirectory(context, `views/${views.size}`);
  const parts = deps.snapshots.view(snapshot);
  if (deps.remap && snapshot !== undefined) deps.remap.mount(snapshot, parts, target);
  else for (const part of parts) mountSpec(part, target);
  undo.defer(() => void unmountIfMounted(target));
  views.set(snapshot, target);
  return target;
}

/** Mounts a writable snapshot. */
export function mountActive({ deps }: Pick<MountContext, "deps">, active: ActiveStep, target: string): void {
  if (deps.remap) deps.remap.mount(active.key, active.mounts, target);
  else for (const part of active.mounts) mountSpec(part, target);
}

/**
 * Mounts what a descriptor shows in a place of the step's own, for the runtime to take it from there: whoever can write to the tree
 * that it was found in may swap the links that led to it, and nothing is looked up a second time (CVE-2024-23651).
 */
export function bindFound(
  context: MountContext,
  found: number,
  options: { readonly name: string; readonly readonly: boolean },
): string {
  const { kind } = lstatat(found);
  const parent = makeDirectory(context, "binds");
  const target = join(parent, options.name);
  if (kind === "directory") makeDirectory(context, `binds/${options.name}`);
  else writeFileSync(target, "", { flag: "wx", mode: 0o600 });
  const place = openat(AT_FDCWD, target, O.PATH | O.NOFOLLOW);
  try {
    bindDescriptor(found, place, { readonly: options.readonly });
  } catch (error) {
    // Another step may take away what it shares with this one.
    if (error instanceof SystemError && error.code === "ENOENT")
      throw notFound("the source of a mount was removed while it was being mounted", error);
    throw error;
  } finally {
    closeFd(place);
  }
  context.undo.defer(() => void unmountIfMounted(target));
  return target;
}

/** A mount of something that lies ready on the host. What is read-only is a file or made read-only through and through already. */
export function bindOf(target: string, source: string, readonly: boolean): SpecMount {
  return { type: "bind", target, source, readonly, options: ["rbind", "rprivate", "ro-non-recursive"] };
}

/** The id on the host of one in the step. */
export function hostId({ remap }: ExecDeps, kind: "uid" | "gid", id: number): number {
  if (!remap) return id;
  const covers = (one: IdMap) => id >= one.containerID && id < one.containerID + one.size;
  const range = remap.maps[kind].find(covers);
  if (!range) throw invalid(`${kind} ${id} of a mount is not in the daemon's user namespace mapping`);
  return range.hostID + id - range.containerID;
}

/** The snapshot of an input; undefined: the empty tree. */
export function snapshotOf(step: StepContext<ExecOp>, index: number | undefined): ChainId | undefined {
  return index === undefined ? undefined : step.inputs[index]?.snapshot;
}
