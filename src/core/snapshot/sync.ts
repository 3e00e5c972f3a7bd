import { internal, TugError } from "../../base/lib/errors.ts";
import { statFileSystem } from "../../base/sys/statfs.ts";

/** Writes the dirty data of the file system that a path lies on, and waits for it. */
export type SyncFileSystem = (path: string) => Promise<void>;

/** By sync(1) of coreutils in a process of its own, as syncfs(2) blocks its caller for as long as the disk takes. */
export const syncByProcess: SyncFileSystem = async (path) => {
  // A memory file system has nothing to write, and tests need not wait for the host's disk.
  if (statFileSystem(path).name === "tmpfs") return;
  const child = Bun.spawn(["sync", "--file-system", "--", path], { stdio: ["ignore", "ignore", "pipe"] });
  const [code, text] = await Promise.all([child.exited, child.stderr.text()]);
  if (code === 0) return;
  if (text.includes("No space left")) throw new TugError("resource-exhausted", "no space left on device");
  throw internal(`sync ${path}: ${text.trim()}`);
};
