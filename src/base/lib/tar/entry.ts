/**
 * The members of a tar archive (POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header"; GNU tar manual, "Basic Tar
 * Format"): what a header says, with pax and GNU extensions already applied.
 */
export type TarKind = "file" | "link" | "symlink" | "char" | "block" | "directory" | "fifo" | "unknown";

export interface TarEntry {
  /** As written in the archive: it may be absolute, hold ".." or end in "/". Not UTF-8 bytes are escaped as in path-bytes.ts. */
  readonly path: string;
  readonly kind: TarKind;
  /** The header's type character, to name an unknown one. */
  readonly typeflag: string;
  /** Logical size of a regular file in bytes; 0 for everything else. */
  readonly size: number;
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly atime: bigint | undefined;
  /** Target of a hard or symbolic link. */
  readonly linkPath: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Extended attributes (pax records SCHILY.xattr.*), by full name such as "security.capability". */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Where the data of a sparse file lies; undefined when it is all there. */
  readonly sparse: readonly SparseExtent[] | undefined;
}

export interface SparseExtent {
  readonly offset: number;
  readonly length: number;
}

export const BLOCK = 512;

/** Bytes of padding after `size` bytes of data. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** A malformed archive. The texts are those of Go's archive/tar, which Docker's users see and scripts match. */
export class TarError extends Error {
  override readonly name = "TarError";
}

export const invalidHeader = () => new TarError("archive/tar: invalid tar header");
export const unexpectedEnd = () => new TarError("unexpected EOF");
