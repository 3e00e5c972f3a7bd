/** What differs between the file systems that a thin device can have (`dm.fs`). */
export interface ThinFileSystem {
  readonly name: "ext4" | "xfs";
  /** Arguments of mkfs: quick, and without discarding what a new device has not got. */
  readonly mkfs: readonly string[];
  readonly mountOptions: readonly string[];
  /** The program that makes a mounted file system as large as its device. */
  readonly grow: (device: string, mounted: string) => readonly string[];
  /** What mkfs puts into the root. */
  readonly brings: readonly string[];
}

export const thinFileSystems: Readonly<Record<ThinFileSystem["name"], ThinFileSystem>> = {
  ext4: {
    name: "ext4",
    mkfs: ["-q", "-F", "-E", "nodiscard,lazy_itable_init=1", "-m", "0"],
    mountOptions: ["noinit_itable", "discard"],
    grow: (device) => ["resize2fs", device],
    brings: ["lost+found"],
  },
  xfs: {
    name: "xfs",
    mkfs: ["-q", "-K"],
    // Each snapshot of an XFS has the same UUID.
    mountOptions: ["nouuid", "discard"],
    grow: (_device, mounted) => ["xfs_growfs", mounted],
    brings: [],
  },
};
