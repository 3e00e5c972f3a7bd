import { messageOf } from "./errors.ts";
import { errnoOf } from "./storage-error.ts";

const texts: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "directory not empty",
  EEXIST: "file exists",
  EROFS: "read-only file system",
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large",
  EIO: "input/output error",
  ELOOP: "too many levels of symbolic links",
  ENAMETOOLONG: "file name too long",
  EINVAL: "invalid argument",
  EPERM: "operation not permitted",
  ENXIO: "no such device or address",
};

/** The system's words for a failed file operation, as Go prints them. */
export function systemText(error: unknown): string {
  return texts[errnoOf(error) ?? ""] ?? messageOf(error);
}
