import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { mkdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { conflict, invalid, notFound, TugError } from "../../../base/lib/errors.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { bindDescriptor } from "../../../base/sys/mount/tree.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { lstatat } from "../../../base/sys/stat.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ContainerContext } from "../context.ts";
import { emitVolume } from "../events.ts";
import type { ContainerRecord, MountRecord } from "../record.ts";
import { giveTo, makeMountpoint, mapVolume, mountMapped, remapOf } from "./remap.ts";
import { secretsPath } from "./secrets.ts";
import { sharedMemoryPath } from "./shared-memory.ts";

/** Mounts the container's writable layer; the returned path is its root as the host sees it. */
export async function mountRootfs(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<string> {
  const { driver } = record.definition;
  if (driver !== context.snapshots.name) {
    throw conflict(
      `the container's layer is one of the storage driver ${driver}, and the daemon runs with ${context.snapshots.name}: start the daemon with --storage-driver ${driver}`,
    );
  }
  const target = context.paths.rootfs(record.id);
  await mkdir(target, { recursive: true, mode: 0o700 });
  // A crash may have left one: never mount over it.
  unmountIfMounted(target);
  for (const mount of context.snapshots.mounts(record.id)) mountSpec(mount, target);
  undo.defer(() => void unmountIfMounted(target));
  return target;
}

/** Makes every volume and image of the record usable and tells the runtime what to mount where. */
export async function mountVolumes(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<readonly SpecMount[]> {
  const mounts: SpecMount[] = [];
  for (const mount of record.definition.mounts) {
    const source = await prepareSource(context, record, mount, undo);
    mounts.push(toSpecMount(mount, source));
  }
  for (const [target, options] of Object.entries(record.definition.host.Tmpfs ?? {})) {
    mounts.push({
      type: "tmpfs",
      target,
      source: "tmpfs",
      readonly: false,
      options: ["noexec", "nosuid", "nodev", ...tmpfsOptions(options)],
    });
  }
  // Shorter targets first, so that nested ones land on top.
  return mounts.sort((a, b) => a.target.split("/").length - b.target.split("/").length);
}

const tmpfsFlags =
  /^(?:defaults|r[ow]|(?:no)?(?:suid|dev|exec|mand|atime|diratime|relatime|strictatime)|a?sync|dirsync|remount|r?(?:bind|unbindable|private|shared|slave))$/;
const tmpfsValues = /^(?:size|mode|uid|gid|nr_inodes|nr_blocks|mpol)=/;

/** What the kernel would refuse with "invalid argument" alone is told by name. */
function tmpfsOptions(text: string): readonly string[] {
  const options = text.split(",").filter(Boolean);
  const unknown = options.find((option) => !tmpfsFlags.test(option) && !tmpfsValues.test(option));
  if (unknown !== undefined) throw invalid(`invalid tmpfs option [${JSON.stringify(unknown)}]`);
  return options.filter((option) => option !== "defaults");
}

async function prepareSource(
  context: ContainerContext,
  record: ContainerRecord,
  mount: MountRecord,
  undo: AsyncDisposableStack,
): Promise<string> {
  const remap = remapOf(context, record.definition.host);
  switch (mount.type) {
    case "tmpfs":
      return "tmpfs";
    case "bind":
      if (mount.createSource) await makeBindSource(mount.source);
      return mount.source;
    case "volume": {
      const path = await context.volumes.mount(mount.name, record.id);
      undo.defer(() => context.volumes.unmount(mount.name, record.id));
      emitVolume(context, record, mount, "mount");
      if (!remap) return await subpathOf(context, record, mount, path, undo);
      const mapped = mountpoint(context, record, mount);
      undo.defer(() => void unmountIfMounted(mapped));
      return await subpathOf(context, record, mount, mapVolume(remap, path, mapped), undo);
    }
    case "image": {
      const target = mountpoint(context, record, mount);
      const image = context.images.get(mount.imageId);
      if (!image?.chainId) throw notFound(`No such image: ${mount.source}`);
      makeMountpoint(remap, target);
      if (remap) mountMapped(context.snapshots, remap, image.chainId, target);
      else for (const part of context.snapshots.mounts(image.chainId)) mountSpec(part, target);
      undo.defer(() => void unmountIfMounted(target));
      return await subpathOf(context, record, mount, target, undo);
    }
  }
}

/** Where an image, or a volume with mapped ids, is mounted for the container to take it from. */
function mountpoint(context: ContainerContext, record: ContainerRecord, mount: MountRecord): string {
  const index = record.definition.mounts.indexOf(mount);
  return join(context.paths.dir(record.id), "images", String(index));
}

/** -v makes a missing directory; a file in its place is fine; anything racing is the host's own business. */
async function makeBindSource(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST" || code === "ENOTDIR") return;
    throw new TugError(
      "internal",
      `error while creating mount source path '${path}': mkdir ${path}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/**
 * A subpath is resolved inside the volume, once, and what was found is mounted by its descriptor in a place of the daemon's own for
 * the runtime to take it from: one who writes to the volume may swap links on the way (CVE-2017-1002101).
 */
async function subpathOf(
  context: ContainerContext,
  record: ContainerRecord,
  mount: MountRecord & { readonly subpath: string },
  root: string,
  undo: AsyncDisposableStack,
): Promise<string> {
  if (mount.subpath === "") return root;
  const target = `${mountpoint(context, record, mount)}${subpathSuffix}`;
  const remap = remapOf(context, record.definition.host);
  using dir = RootedDir.open(root);
  const found = openSubpath(dir, root, mount.subpath);
  try {
    unmountIfMounted(target);
    await rm(target, { force: true }).catch(() => rmdir(target));
    if (lstatat(found).kind === "directory") makeMountpoint(remap, target);
    else {
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      writeFileSync(target, "", { flag: "wx", mode: 0o600 });
      giveTo(remap, dirname(target));
    }
    const place = openat(AT_FDCWD, target, O.PATH | O.NOFOLLOW);
    try {
      bindDescriptor(found, place, { readonly: false });
    } finally {
      closeFd(place);
    }
    undo.defer(() => void unmountIfMounted(target));
    return target;
  } finally {
    closeFd(found);
  }
}

const subpathSuffix = "-subpath";

function openSubpath(dir: RootedDir, root: string, subpath: string): number {
  try {
    return dir.open(subpath, O.PATH);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw notFound(`cannot access path ${join(root, subpath)}: ${error.message}`, error);
  }
}

function toSpecMount(mount: MountRecord, source: string): SpecMount {
  const shared = { target: mount.target, source, readonly: mount.readonly };
  switch (mount.type) {
    case "tmpfs":
      return { ...shared, type: "tmpfs", options: ["noexec", "nosuid", "nodev", ...mount.options] };
    case "bind":
      return {
        ...shared,
        type: "bind",
        options: [mount.recursive ? "rbind" : "bind", mount.propagation, ...readonlyWords(mount, source)],
      };
    case "volume":
      return { ...shared, type: "bind", options: ["rbind", "rprivate"] };
    case "image":
      return { ...shared, type: "bind", readonly: true, options: ["rbind", "rprivate"] };
  }
}

/** A file has nothing below it, and crun 1.8 opens the target of a recursive read-only mount as a directory. */
function readonlyWords(mount: MountRecord & { readonly type: "bind" }, source: string): readonly string[] {
  if (!mount.readonly) return [];
  if (mount.readonlyDepth === "force-recursive") return ["ro-force-recursive"];
  const directory = statSync(source, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return mount.readonlyDepth === "non-recursive" || !directory ? ["ro-non-recursive"] : [];
}

/** Everything `mountRootfs` and `mountVolumes` made is let go; idempotent, used after exits and crashes. */
export async function unmountAll(context: ContainerContext, record: ContainerRecord): Promise<void> {
  unmountIfMounted(context.paths.rootfs(record.id));
  unmountIfMounted(sharedMemoryPath(context, record));
  unmountIfMounted(secretsPath(context, record));
  for (const mount of record.definition.mounts) {
    if (mount.type === "volume") await context.volumes.unmount(mount.name, record.id);
    if (mount.type === "image" || mount.type === "volume") {
      const target = mountpoint(context, record, mount);
      unmountIfMounted(`${target}${subpathSuffix}`);
      unmountIfMounted(target);
      await rmdir(target).catch(() => undefined); // it goes with the container's directory at the latest
    }
  }
}
