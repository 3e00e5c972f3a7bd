import { dlopen, FFIType as T } from "bun:ffi";
import { cpath } from "../at.ts";
import { errno, SystemError } from "../libc.ts";
import { MNT, umount } from "../mount/mount.ts";
import { CAPABILITIES } from "./capabilities.ts";

/** For one-shot helper programs that start programs they do not trust. */
const { symbols: c } = dlopen("libc.so.6", {
  pivot_root: { args: [T.ptr, T.ptr], returns: T.i32 },
  unshare: { args: [T.i32], returns: T.i32 },
  prctl: { args: [T.i32, T.u64, T.u64, T.u64, T.u64], returns: T.i32 },
});

const CLONE_NEWNET = 0x40000000;
const PR_CAPBSET_DROP = 24;
const EINVAL = 22;

/**
 * Makes the mount point `path` the root of this process's mount namespace, which must be its own; what was mounted before is out of
 * reach (pivot_root(2), "pivot_root(".", ".")").
 */
export function pivotInto(path: string): void {
  process.chdir(path);
  if (c.pivot_root(cpath("."), cpath(".")) < 0) throw new SystemError(errno(), "pivot_root", path);
  umount(".", MNT.DETACH);
  process.chdir("/");
}

/** Programs started from now on by this thread have no network. */
export function leaveNetwork(): void {
  if (c.unshare(CLONE_NEWNET) < 0) throw new SystemError(errno(), "unshare");
}

/** Programs started from now on by this thread have these capabilities at most; its own stay (capabilities(7)). */
export function limitCapabilities(keep: readonly (typeof CAPABILITIES)[number][]): void {
  for (const [number, name] of CAPABILITIES.entries()) {
    if (keep.includes(name) || c.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) === 0) continue;
    const code = errno();
    // An older kernel does not know it.
    if (code !== EINVAL) throw new SystemError(code, "prctl");
  }
}
