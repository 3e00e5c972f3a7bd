import { dlopen, FFIType as T } from "bun:ffi";
import { AT_FDCWD, closeFd, O, openat } from "./at.ts";
import { errno, SystemError } from "./libc.ts";
import { SYS } from "./syscalls.ts";

/**
 * Project quotas of ext4 and xfs: a directory is given a project id that all made in it inherits, and the file system limits
 * what a project holds (ioctl_fsgetxattr(2), quotactl(2)).
 */
const { symbols: c } = dlopen("libc.so.6", {
  ioctl: { args: [T.i32, T.u64, T.ptr], returns: T.i32 },
  /** quotactl_fd is the only caller. */
  syscall: { args: [T.i64, T.i64, T.u64, T.u64, T.ptr], returns: T.i64_fast },
});

/** include/uapi/linux/fs.h: struct fsxattr is xflags, extsize, nextents, projid, cowextsize and 8 bytes of padding. */
const FS_IOC_FSGETXATTR = 0x801c581f;
const FS_IOC_FSSETXATTR = 0x401c5820;
const FS_XFLAG_PROJINHERIT = 0x200;
const projectAt = 12;
/** include/uapi/linux/quota.h: QCMD(command, PRJQUOTA); struct if_dqblk is nine 64-bit words, limits in KiB. */
const PRJQUOTA = 2;
const Q_GETQUOTA = (0x800007 << 8) | PRJQUOTA;
const Q_SETQUOTA = (0x800008 << 8) | PRJQUOTA;
const QIF_BLIMITS = 1;
const ENOENT = 2;

function withDirectory<R>(path: string, use: (fd: number) => R): R {
  const fd = openat(AT_FDCWD, path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    return use(fd);
  } finally {
    closeFd(fd);
  }
}

function attributes(fd: number, path: string): Buffer {
  const data = Buffer.alloc(28);
  if (c.ioctl(fd, FS_IOC_FSGETXATTR, data) < 0) throw new SystemError(errno(), "FS_IOC_FSGETXATTR", path);
  return data;
}

/** The project of a directory; 0 is none. */
export function projectOf(path: string): number {
  return withDirectory(path, (fd) => attributes(fd, path).readUInt32LE(projectAt));
}

/** Puts an empty directory, and all that will be made in it, into a project. */
export function setProject(path: string, project: number): void {
  withDirectory(path, (fd) => {
    const data = attributes(fd, path);
    // The highest bit may be set (FS_XFLAG_HASATTR).
    data.writeUInt32LE((data.readUInt32LE(0) | FS_XFLAG_PROJINHERIT) >>> 0, 0);
    data.writeUInt32LE(project, projectAt);
    if (c.ioctl(fd, FS_IOC_FSSETXATTR, data) < 0) throw new SystemError(errno(), "FS_IOC_FSSETXATTR", path);
  });
}

export interface ProjectUsage {
  /** Bytes; 0 is no limit. */
  readonly limit: number;
  readonly bytes: number;
  readonly inodes: number;
}

/** What a project of the file system of `path` holds and may hold. ESRCH or ENOSYS: it has no project quotas, or the kernel is older than 5.14. */
export function projectUsage(path: string, project: number): ProjectUsage {
  const data = Buffer.alloc(72);
  const result = withDirectory(path, (fd) =>
    Number(c.syscall(SYS.quotactl_fd, fd, Q_GETQUOTA, project, data)) < 0 ? errno() : 0,
  );
  // xfs has no record of a project that never held anything.
  if (result !== 0 && result !== ENOENT) throw new SystemError(result, "quotactl_fd", path);
  const word = (index: number) => Number(data.readBigUInt64LE(index * 8));
  return { limit: word(0) * 1024, bytes: word(2), inodes: word(5) };
}

/** Limits a project, in bytes; 0 takes the limit away. */
export function limitProject(path: string, project: number, bytes: number): void {
  const data = Buffer.alloc(72);
  const blocks = BigInt(Math.ceil(bytes / 1024));
  data.writeBigUInt64LE(blocks, 0);
  data.writeBigUInt64LE(blocks, 8);
  data.writeUInt32LE(QIF_BLIMITS, 64);
  withDirectory(path, (fd) => {
    if (Number(c.syscall(SYS.quotactl_fd, fd, Q_SETQUOTA, project, data)) < 0)
      throw new SystemError(errno(), "quotactl_fd", path);
  });
}
