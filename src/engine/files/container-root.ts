import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { randomId } from "../../base/lib/ids.ts";
import { closeFd, fdPath, O } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { mountSpec, unmountIfMounted } from "../../base/sys/mount.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import type { ContainerContext } from "../containers/context.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";

/** A container's files as it sees them itself. Disposing lets go of what was mounted for it. */
export interface ContainerRoot extends AsyncDisposable {
  readonly dir: RootedDir;
}

/**
 * Opens the root of a container. One that runs shows its own mount namespace through /proc/<pid>/root: volumes, binds and
 * tmpfs are there and nothing is mounted on the host. For one that does not, root and volumes are mounted aside, each
 * target resolved inside the root and addressed by its descriptor, so that a link in the image or in a volume that others
 * write leads nowhere else (CVE-2018-15664, CVE-2026-42306).
 */
export async function openContainerRoot(
  context: ContainerContext,
  record: ContainerRecord,
): Promise<ContainerRoot> {
  if (isAlive(record)) {
    const dir = RootedDir.open(`/proc/${record.state.pid}/root`);
    return { dir, [Symbol.asyncDispose]: async () => dir[Symbol.dispose]() };
  }
  await using undo = new AsyncDisposableStack();
  const name = `files-${randomId().slice(0, 12)}`;
  const binds: { readonly source: string; readonly target: string }[] = [];
  for (const mount of record.definition.mounts) {
    if (mount.type === "bind") binds.push(mount);
    if (mount.type !== "volume") continue;
    const holder = `${record.id}-${name}`;
    const path = await context.volumes.mount(mount.name, holder);
    undo.defer(() => context.volumes.unmount(mount.name, holder));
    binds.push({ ...mount, source: mount.subpath ? join(path, mount.subpath) : path });
  }
  const target = join(context.paths.dir(record.id), name);
  await mkdir(target, { mode: 0o700 });
  undo.defer(() => rmdir(target));
  for (const mount of context.snapshots.mounts(record.id)) mountSpec(mount, target);
  // Takes what is mounted inside with it.
  undo.defer(() => void unmountIfMounted(target));
  const dir = undo.use(RootedDir.open(target));
  for (const bind of binds) mountInside(dir, bind.source, bind.target);
  const owned = undo.move();
  return { dir, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Binds `source` over `target` of the tree; left out when the source is gone or the target cannot be one. */
function mountInside(root: RootedDir, source: string, target: string): void {
  try {
    if (!root.tryStat(target)) root.mkdirAll(target, 0o755);
    const fd = root.open(target, O.PATH);
    try {
      // Flags would need a second call, which the descriptor (now below the mount) can no longer name; writing to a
      // read-only mount is refused before it comes to that.
      mountSpec({ type: "bind", source, options: ["rbind"] }, fdPath(fd));
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    if (error instanceof SystemError && ["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code)) return;
    throw error;
  }
}
