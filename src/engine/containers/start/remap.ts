import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import type { IdMap } from "../../../core/runtime/spec.ts";
import type { Mount, Snapshotter } from "../../../core/snapshot/snapshotter.ts";
import type { ContainerContext } from "../context.ts";
import { containerOfMode } from "../network-mode.ts";
import type { ContainerRecord } from "../record.ts";
import type { Remap } from "../remap.ts";

/** The mapping that a container gets; undefined for the host's own ids. */
export function remapOf(context: ContainerContext, host: HostConfig): Remap | undefined {
  return host.UsernsMode === "host" ? undefined : context.remap;
}

/** Refuses what cannot go together with a user namespace, in Docker's words. */
export function checkRemap(context: ContainerContext, host: HostConfig): void {
  if (!remapOf(context, host)) return;
  if (host.Privileged) {
    throw invalid(
      "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
    );
  }
  if (host.NetworkMode === "host") {
    throw invalid("cannot share the host's network namespace when user namespaces are enabled");
  }
  if (host.PidMode === "host") {
    throw invalid("cannot share the host PID namespace when user namespaces are enabled");
  }
}

/**
 * The user namespace of a mapped container: that of the container whose other namespaces it joins (they belong to that one), else
 * one of its own.
 */
export function userNamespace(
  context: ContainerContext,
  host: HostConfig,
  pidOf: (container: string) => number,
): string {
  const modes = [host.PidMode, host.IpcMode, host.NetworkMode];
  const other = modes.map(containerOfMode).find((container) => container !== undefined);
  if (!remapOf(context, host)) return "host";
  return other === undefined ? "private" : `/proc/${pidOf(other)}/ns/user`;
}

/** Puts the container's root in place of the plain one that was prepared, with mapped ids. */
export function mountMappedRootfs(context: ContainerContext, record: ContainerRecord): void {
  const remap = remapOf(context, record.definition.host);
  if (!remap) return;
  const target = context.paths.rootfs(record.id);
  unmountIfMounted(target);
  mountMapped(context.snapshots, remap, record.id, target);
  // Its root passes through on its way to what is mounted for it; nobody lists them.
  for (const path of [context.paths.dir(record.id), context.paths.task(record.id).state]) {
    chownSync(path, 0, remap.root.gid);
    chmodSync(path, 0o710);
  }
}

/** Mounts a snapshot with mapped ids. */
export function mountMapped(
  snapshots: Pick<Snapshotter, "name" | "root" | "mounts">,
  remap: Pick<Remap, "bind" | "view">,
  snapshot: string,
  target: string,
): void {
  const [tree] = snapshots.mounts(snapshot);
  if (tree?.type === "bind") {
    bindTree(snapshots.name, remap, tree, target);
    return;
  }
  remap.view(snapshots.root, (view) => {
    for (const part of snapshots.mounts(snapshot, view)) mountSpec(part, target);
  });
}

/** A tree may be a file system of its own, which is not there in a view of the directory above. */
function bindTree(driver: string, remap: Pick<Remap, "bind">, tree: Mount, target: string): void {
  try {
    remap.bind(tree.source, target, { readOnly: tree.options.includes("ro") });
  } catch (error) {
    if (!(error instanceof SystemError) || !["EINVAL", "EPERM"].includes(error.code)) throw error;
    throw new TugError(
      "not-implemented",
      `storage driver ${driver}: the file system of its layers cannot be mounted with mapped ids here (zfs can from 2.2 on): use overlay2, btrfs or vfs with --userns-remap, or run the container with --userns=host`,
      { cause: error },
    );
  }
}

/** A volume with mapped ids, where its file system can; one that cannot (NFS) is mounted as it is. */
export function mapVolume(remap: Remap, source: string, target: string): string {
  makeMountpoint(remap, target);
  try {
    remap.bind(source, target);
    return target;
  } catch (error) {
    if (error instanceof SystemError && ["EINVAL", "EPERM"].includes(error.code)) return source;
    throw error;
  }
}

/** An empty directory to mount on, which the container's root reaches. */
export function makeMountpoint(remap: Remap | undefined, target: string): void {
  mkdirSync(target, { recursive: true, mode: 0o700 });
  unmountIfMounted(target);
  giveTo(remap, dirname(target));
}

/** The id on the host of one in the container. */
function hostId(maps: readonly IdMap[], id: number): number {
  const range = maps.find((one) => id >= one.containerID && id < one.containerID + one.size);
  if (!range) throw invalid(`id ${id} is not in the daemon's user namespace mapping`);
  return range.hostID + id - range.containerID;
}

/** Gives what the daemon made for a container to that container's user. */
export function giveTo(remap: Remap | undefined, path: string, uid = 0, gid = 0): void {
  if (remap) chownSync(path, hostId(remap.maps.uid, uid), hostId(remap.maps.gid, gid));
  else if (uid !== 0 || gid !== 0) chownSync(path, uid, gid);
}
