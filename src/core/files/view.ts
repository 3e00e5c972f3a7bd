import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { notFound } from "../../base/lib/errors.ts";
import { closeFd, O, openat2, RESOLVE } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { cloneTree } from "../../base/sys/mount/calls.ts";
import { MNT, MS, mount, mountOverlay, mountSpec, umount } from "../../base/sys/mount/mount.ts";
import { type MountInfo, readMountInfo } from "../../base/sys/mount/mountinfo.ts";
import { bindDescriptor, enterOwnMountNamespace, mountIdAt } from "../../base/sys/mount/tree.ts";
import { processStat } from "../../base/sys/process/pidfd.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import { type FileStat, lstatat } from "../../base/sys/stat.ts";
import type { BindView, FilesView } from "./protocol.ts";

/** A view's root, and which mounts below it a walk enters. */
export interface OpenView extends Disposable {
  readonly root: RootedDir;
  crosses(dir: number, name: string): boolean;
  /** Its file system is none that the view shows. */
  hides(stat: FileStat, name?: string): boolean;
}

/** The process that a view names is not there any more. */
export class ContainerEnded extends Error {
  override readonly name = "ContainerEnded";
}

/** Opens a view in this process, which must be a helper of its own: `stopped` gives it another mount namespace for good. */
export function openView(view: FilesView): OpenView {
  switch (view.kind) {
    case "running":
      return openRunning(view);
    case "stopped":
      return openStopped(view);
    case "directory": {
      const root = RootedDir.open(view.path);
      return {
        root,
        crosses: () => false,
        hides: () => false,
        [Symbol.dispose]: () => root[Symbol.dispose](),
      };
    }
  }
}

/**
 * The root of a running container's first process, as the kernel has it. Paths are resolved from that descriptor and never
 * leave it; the mount namespace is held open, so that volumes stay mounted should the container end meanwhile.
 */
function openRunning(view: FilesView & { readonly kind: "running" }): OpenView {
  const base = `/proc/${view.pid}`;
  using stack = new DisposableStack();
  let root: RootedDir;
  try {
    const namespace = openMagic(`${base}/ns/mnt`);
    stack.defer(() => closeFd(namespace));
    root = stack.use(RootedDir.open(`${base}/root`));
  } catch (error) {
    if (error instanceof SystemError && (error.code === "ENOENT" || error.code === "ESRCH"))
      throw new ContainerEnded("the container ended while its files were opened");
    throw error;
  }
  if (processStat(view.pid)?.startTime !== view.startTime)
    throw new ContainerEnded("the container ended while its files were opened");
  const hidden = view.hidden === undefined ? undefined : deviceOf(view.hidden);
  let entered: ReadonlySet<number> | undefined;
  const owned = stack.move();
  return {
    root,
    crosses: (dir, name) => {
      entered ??= enteredMounts(readMountInfo(view.pid), view.entered);
      const id = mountIdAt(dir, name);
      // Below a mount that the walk is in already every directory is on it.
      return entered.has(id) || id === mountIdAt(dir);
    },
    hides: ({ device }) => device === hidden,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** The file system at a path of the host's; undefined when there is nothing. */
function deviceOf(path: string): string | undefined {
  try {
    const fd = openat2(-100, path, O.PATH | O.DIRECTORY, RESOLVE.NO_SYMLINKS);
    try {
      return lstatat(fd).device;
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function openMagic(path: string): number {
  // Our own view of /proc is trusted; the link is the kernel's.
  return openat2(-100, path, O.RDONLY, 0);
}

/** Ids of the mounts at the given mount points, and of what is mounted further down in them. */
function enteredMounts(mounts: readonly MountInfo[], points: readonly string[]): ReadonlySet<number> {
  const wanted = (path: string) => points.some((point) => path === point || path.startsWith(`${point}/`));
  return new Set(mounts.filter((one) => wanted(one.mountpoint)).map((one) => one.id));
}

/**
 * Puts a stopped container's root together: its layers, and its volumes on top of the places they belong to, resolved inside
 * the root. It all happens in a mount namespace that nobody else sees and that ends with this process.
 */
function openStopped(view: FilesView & { readonly kind: "stopped" }): OpenView {
  enterOwnMountNamespace();
  using stack = new DisposableStack();
  // Sources are opened before anything is mounted over them.
  const binds = view.binds.map((bind) => ({ bind, source: openSource(bind, view.scratch, stack) }));
  mount("tmpfs", view.scratch, "tmpfs", MS.NOSUID | MS.NODEV, "mode=0700");
  const path = join(view.scratch, "root");
  mkdirSync(path);
  if (view.root.kind === "layers") {
    for (const name of ["upper", "work"]) mkdirSync(join(view.scratch, name), { mode: 0o755 });
    mountOverlay(
      [
        `lowerdir=${view.root.layers.map((layer) => layer.replace(/[\\:,]/g, "\\$&")).join(":")}`,
        `upperdir=${join(view.scratch, "upper")}`,
        `workdir=${join(view.scratch, "work")}`,
        "index=off",
        "metacopy=off",
        "redirect_dir=nofollow",
      ],
      path,
    );
  } else {
    for (const one of view.root.mounts) mountSpec(one, path);
  }
  const root = RootedDir.open(path);
  try {
    for (const { bind, source } of binds) {
      const target = openTarget(root, bind.target, lstatat(source).kind === "directory");
      try {
        bindDescriptor(source, target, { readonly: bind.readonly });
      } finally {
        closeFd(target);
      }
    }
  } catch (error) {
    root[Symbol.dispose]();
    throw error;
  }
  const marks = view.root.kind === "layers" && view.root.marks === true;
  const served = view.root.kind === "mounts" && view.root.mounts.some((one) => one.type.startsWith("fuse."));
  const shown = served ? takeOut(root, path) : root;
  return {
    root: shown,
    crosses: () => true,
    // What fuse-overlayfs keeps for itself (`SnapshotLayout`).
    hides: (_stat, name = "") => marks && name.startsWith(".wh."),
    [Symbol.dispose]: () => shown[Symbol.dispose](),
  };
}

/**
 * Takes a mount out of the namespace, so that it ends with its last descriptor: the process that serves it lives in the namespace,
 * too, and neither would end without the other.
 */
function takeOut(root: RootedDir, path: string): RootedDir {
  try {
    return RootedDir.adopt(cloneTree(root.fd));
  } finally {
    root[Symbol.dispose]();
    umount(path, MNT.DETACH | MNT.NOFOLLOW);
  }
}

function openSource(bind: BindView, scratch: string, stack: DisposableStack): number {
  const { source } = bind;
  let path = "";
  if (source.kind === "path") {
    path = source.path;
  } else {
    // An image. The next one may go on top: a descriptor keeps what it saw.
    path = scratch;
    for (const one of source.mounts) mountSpec(one, path);
  }
  try {
    const fd = openat2(-100, path, O.PATH, 0);
    if (source.subpath === "") {
      stack.defer(() => closeFd(fd));
      return fd;
    }
    using inside = RootedDir.adopt(fd);
    const sub = inside.open(source.subpath, O.PATH);
    stack.defer(() => closeFd(sub));
    return sub;
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") {
      throw notFound(`error while mounting ${bind.target}: ${path} does not exist`, error);
    }
    throw error;
  }
}

/** What a mount goes on; made where it is missing, as a start would make it. */
function openTarget(root: RootedDir, path: string, directory: boolean): number {
  if (!root.tryStat(path)) {
    if (directory) {
      root.mkdirAll(path, 0o755);
    } else {
      root.mkdirAll(path.slice(0, path.lastIndexOf("/")) || "/", 0o755);
      root.writeFile(path, new Uint8Array(), 0o755);
    }
  }
  return openat2(root.fd, path, O.PATH, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS);
}
