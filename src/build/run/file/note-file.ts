import { renameSync, rmSync, writeFileSync } from "node:fs";
import { isFull } from "../../../base/lib/storage-error.ts";
import { fdPath } from "../../../base/sys/at.ts";

/** Whether a file is what a writer of a note has not put in its place yet, or left when it was killed. */
export function isUnfinishedNote(name: string): boolean {
  return name.includes(".");
}

/**
 * Puts down what saves a later step work, at once or not at all, below a descriptor of its directory. `name` has no dot. Nothing is noted on a
 * full disk: no step fails for it.
 */
export function writeNote(dir: number, name: string, text: string): void {
  const part = fdPath(dir, `${name}.${process.pid}`);
  try {
    writeFileSync(part, text, { mode: 0o600 });
    renameSync(part, fdPath(dir, name));
  } catch (error) {
    rmSync(part, { force: true });
    if (!isFull(error)) throw error;
  }
}
