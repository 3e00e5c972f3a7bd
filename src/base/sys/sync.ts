import { hostProgram } from "./process/host-program.ts";
import { statFileSystem } from "./statfs.ts";

/** Writes the dirty data of the file system that a path lies on, and waits for it. */
export type SyncFileSystem = (path: string) => Promise<void>;

/** By sync(1) of coreutils in a process of its own, as syncfs(2) blocks its caller for as long as the disk takes. */
export const syncByProcess: SyncFileSystem = async (path) => {
  // A memory file system has nothing to write, and tests need not wait for the host's disk.
  if (statFileSystem(path).name === "tmpfs") return;
  await hostProgram(["sync", "--file-system", "--", path]);
};
