import { readFileSync, writeFileSync } from "node:fs";
import { AT_FDCWD, closeFd, O, openat2 } from "../at.ts";
import { clonePath, moveMount, setMountAttributes } from "./calls.ts";

const MOUNT_ATTR_IDMAP = 0x100000n;
const MOUNT_ATTR_RDONLY = 0x1n;

/** As in a user namespace's uid_map and gid_map: `size` ids from `containerID` on are those from `hostID` on outside. */
export interface IdRange {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface IdMaps {
  readonly uid: readonly IdRange[];
  readonly gid: readonly IdRange[];
}

/** A user namespace that is there for its mapping alone: no process lives in it. */
export interface MappingNamespace extends Disposable {
  readonly fd: number;
}

/**
 * Makes a user namespace with these maps. It takes a single-threaded process to make one (user_namespaces(7)): unshare(1) does, and
 * is let go once the descriptor is open.
 */
export async function openMappingNamespace(maps: IdMaps): Promise<MappingNamespace> {
  const child = Bun.spawn(["unshare", "--user", "--", "sh", "-c", "echo ready; read -r end"], {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
  });
  const complaint = child.stderr.text();
  try {
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    if (done) throw new Error(`no user namespace could be made: ${(await complaint).trim()}`);
    await reader.cancel();
    writeIdMaps(child.pid, maps);
    const fd = openat2(AT_FDCWD, `/proc/${child.pid}/ns/user`, O.RDONLY | O.CLOEXEC, 0);
    return { fd, [Symbol.dispose]: () => closeFd(fd) };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    await complaint;
  }
}

/**
 * On the disk of a mapped mount this id stands for the host's root, who would else have none there and could make nothing: overlay
 * makes its work files and whiteouts as the one who mounted it, not as the one who writes.
 */
const mounterOnDisk = 4_294_900_000;

/** The maps for mounts of what containers with these maps see. */
export function mountMaps(maps: IdMaps): IdMaps {
  const mounter = { containerID: mounterOnDisk, hostID: 0, size: 1 };
  return { uid: [...maps.uid, mounter], gid: [...maps.gid, mounter] };
}

/** Gives the user namespace of a process its maps, which can be done once (user_namespaces(7)). */
export function writeIdMaps(pid: number, maps: IdMaps): void {
  writeFileSync(`/proc/${pid}/uid_map`, mapText(maps.uid));
  writeFileSync(`/proc/${pid}/gid_map`, mapText(maps.gid));
}

function mapText(ranges: readonly IdRange[]): string {
  return ranges.map((one) => `${one.containerID} ${one.hostID} ${one.size}\n`).join("");
}

/**
 * Mounts what lies at `source` on `target` with its ids mapped (mount_setattr(2), MOUNT_ATTR_IDMAP): what belongs to id 0 on the disk
 * belongs there to the first id of the mapping, and the other way round for what is made through it. What is mounted below `source`
 * is left out. Throws EINVAL where the file system cannot.
 */
export function bindMapped(
  source: string,
  target: string,
  namespace: MappingNamespace,
  { readOnly = false } = {},
): void {
  const copy = clonePath(source);
  const set = readOnly ? MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY : MOUNT_ATTR_IDMAP;
  try {
    setMountAttributes(copy, { set, userns: namespace.fd }, source);
    moveMount(copy, target);
  } finally {
    closeFd(copy);
  }
}

/** True when a process lives in another user namespace than this one. */
export function inOtherUserNamespace(pid: number): boolean {
  const map = (path: string) => readFileSync(path, "latin1").replaceAll(/\s+/g, " ");
  return map(`/proc/${pid}/uid_map`) !== map("/proc/self/uid_map");
}
