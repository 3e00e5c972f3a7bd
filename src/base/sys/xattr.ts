import { dlopen, FFIType as T } from "bun:ffi";
import { cpath, fdPath } from "./at.ts";
import { errno, SystemError } from "./libc.ts";

/**
 * Extended attributes of any node, symbolic links and device nodes included. A node is addressed as a directory descriptor
 * and a name: the l-calls on /proc/self/fd/<dir>/<name> follow the descriptor's magic link and nothing after it.
 */
const { symbols: c } = dlopen("libc.so.6", {
  lsetxattr: { args: [T.ptr, T.ptr, T.ptr, T.u64, T.i32], returns: T.i32 },
  lgetxattr: { args: [T.ptr, T.ptr, T.ptr, T.u64], returns: T.i64_fast },
  llistxattr: { args: [T.ptr, T.ptr, T.u64], returns: T.i64_fast },
  lremovexattr: { args: [T.ptr, T.ptr], returns: T.i32 },
  flistxattr: { args: [T.i32, T.ptr, T.u64], returns: T.i64_fast },
});

const ENODATA = 61;
const EOPNOTSUPP = 95;
const ERANGE = 34;
/** Limits of the kernel's VFS (include/uapi/linux/limits.h: XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const MAX = 65536;

/** `name` is one component; "" means the directory that the descriptor holds. */
function target(dir: number, name: string): Buffer {
  return cpath(fdPath(dir, name === "" ? "." : name));
}

export function setXattr(dir: number, name: string, key: string, value: Uint8Array): void {
  const data = value.length === 0 ? Buffer.alloc(1) : value;
  if (c.lsetxattr(target(dir, name), cpath(key), data, value.length, 0) < 0)
    throw new SystemError(errno(), `lsetxattr ${key}`, name);
}

/** The value, or undefined when the node has no such attribute or its file system has none at all. */
export function getXattr(dir: number, name: string, key: string): Buffer | undefined {
  const path = target(dir, name);
  for (const size of [256, MAX]) {
    const buffer = Buffer.alloc(size);
    const length = Number(c.lgetxattr(path, cpath(key), buffer, size));
    if (length >= 0) return Buffer.from(buffer.subarray(0, length));
    const code = errno();
    if (code === ENODATA || code === EOPNOTSUPP) return undefined;
    if (code !== ERANGE || size === MAX) throw new SystemError(code, `lgetxattr ${key}`, name);
  }
  return undefined;
}

export function listXattrs(dir: number, name: string): string[] {
  const path = target(dir, name);
  return listed(name, (buffer, size) => Number(c.llistxattr(path, buffer, size)));
}

/** Those of an open file or directory (not O_PATH), which needs no path. */
export function listXattrsOf(fd: number): string[] {
  return listed(String(fd), (buffer, size) => Number(c.flistxattr(fd, buffer, size)));
}

function listed(name: string, list: (buffer: Buffer, size: number) => number): string[] {
  // Nearly every list is short, most are empty.
  for (const size of [1024, MAX]) {
    const buffer = Buffer.allocUnsafe(size);
    const length = list(buffer, size);
    if (length === 0) return [];
    if (length > 0) return buffer.toString("utf8", 0, length - 1).split("\0");
    const code = errno();
    if (code === EOPNOTSUPP) return [];
    if (code !== ERANGE || size === MAX) throw new SystemError(code, "llistxattr", name);
  }
  return [];
}

export function removeXattr(dir: number, name: string, key: string): void {
  if (c.lremovexattr(target(dir, name), cpath(key)) >= 0) return;
  const code = errno();
  if (code !== ENODATA) throw new SystemError(code, `lremovexattr ${key}`, name);
}

/** Attributes that steer overlay or belong to the host's policy: content must not become control data (a CVE class). */
export function isControlXattr(key: string): boolean {
  return key.startsWith("trusted.overlay.") || key.startsWith("user.overlay.") || key === "security.selinux";
}

/**
 * Gives a copy the attributes of what it is a copy of, but for control attributes and those that its file system does not take (tmpfs,
 * nfs; user.* on what is neither file nor directory): the data is right all the same.
 */
export function copyXattrs(
  fromDir: number,
  from: string,
  toDir: number,
  to: string,
  keys: readonly string[] = listXattrs(fromDir, from),
): void {
  for (const key of keys) {
    if (isControlXattr(key)) continue;
    const value = getXattr(fromDir, from, key);
    if (value === undefined) continue;
    try {
      setXattr(toDir, to, key, value);
    } catch (error) {
      if (!(error instanceof SystemError) || !["EOPNOTSUPP", "EPERM", "EINVAL"].includes(error.code))
        throw error;
    }
  }
}
