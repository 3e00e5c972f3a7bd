import { dlopen, FFIType, type Pointer, read } from "bun:ffi";

/**
 * The C library through bun:ffi: raw calls for the other files of this folder and for nobody else. Every wrapper turns a
 * negative return into a `SystemError` carrying the errno name, so that callers branch on `code` and never on text.
 */
const lib = dlopen("libc.so.6", {
  __errno_location: { args: [], returns: FFIType.ptr },
  syscall: {
    args: [FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64],
    returns: FFIType.i64,
  },
});

/** errno of the last failed call on this thread; read it at once, before any other call. */
export function errno(): number {
  return read.i32(lib.symbols.__errno_location() as Pointer, 0);
}

/** A failed system call: `code` is the errno name ("ENOENT"), `syscall` the call, `path` what it was about. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly errno: number;
  readonly code: string;
  readonly syscall: string;
  readonly path: string | undefined;
  constructor(number: number, syscall: string, path?: string) {
    const code = errnoNames[number] ?? `E${number}`;
    super(`${syscall}${path === undefined ? "" : ` ${path}`}: ${errnoTexts[code] ?? code.toLowerCase()}`);
    this.errno = number;
    this.code = code;
    this.syscall = syscall;
    this.path = path;
  }
}

/** Calls `syscall(2)` by number (x86-64 and arm64 numbers differ: see syscalls.ts); throws `SystemError` on -1. */
export function syscall(
  name: string,
  number: number,
  a: bigint | number = 0,
  b: bigint | number = 0,
  c: bigint | number = 0,
  d: bigint | number = 0,
  e: bigint | number = 0,
  f: bigint | number = 0,
  path?: string,
): number {
  const result = Number(lib.symbols.syscall(number, a, b, c, d, e, f));
  if (result < 0) throw new SystemError(errno(), name, path);
  return result;
}

/** A NUL-terminated copy for the C side. Keep a reference to it until the call returned. */
export function cstr(text: string): Buffer {
  if (text.includes("\0")) throw new SystemError(22, "string", JSON.stringify(text));
  return Buffer.from(`${text}\0`);
}

const errnoNames: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  5: "EIO",
  6: "ENXIO",
  7: "E2BIG",
  8: "ENOEXEC",
  9: "EBADF",
  10: "ECHILD",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  15: "ENOTBLK",
  16: "EBUSY",
  17: "EEXIST",
  18: "EXDEV",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  25: "ENOTTY",
  26: "ETXTBSY",
  27: "EFBIG",
  28: "ENOSPC",
  29: "ESPIPE",
  30: "EROFS",
  31: "EMLINK",
  32: "EPIPE",
  34: "ERANGE",
  36: "ENAMETOOLONG",
  38: "ENOSYS",
  39: "ENOTEMPTY",
  40: "ELOOP",
  61: "ENODATA",
  75: "EOVERFLOW",
  88: "ENOTSOCK",
  90: "EMSGSIZE",
  92: "ENOPROTOOPT",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  100: "ENETDOWN",
  101: "ENETUNREACH",
  104: "ECONNRESET",
  105: "ENOBUFS",
  106: "EISCONN",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
  114: "EALREADY",
  115: "EINPROGRESS",
  116: "ESTALE",
  122: "EDQUOT",
}; // prettier-ignore

const errnoTexts: Readonly<Record<string, string>> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  ENAMETOOLONG: "file name too long",
  EFBIG: "file too large",
  ELOOP: "too many levels of symbolic links",
  EADDRINUSE: "address already in use",
  ENOTEMPTY: "directory not empty",
  EXDEV: "invalid cross-device link",
  ENOSYS: "function not implemented",
  EOPNOTSUPP: "operation not supported",
  ENODATA: "no data available",
  EDQUOT: "disk quota exceeded",
}; // prettier-ignore
