import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootId } from "../../../base/sys/boot-id.ts";

/** Anonymous volumes that a create is about to make, noted in the container's directory before they exist. */
interface NewVolumes {
  readonly boot: string;
  readonly names: readonly string[];
}

const file = "new-volumes.json";

/** Notes what a create that is cut short leaves behind; the note goes with the container's directory. */
export function noteNewVolumes(directory: string, names: readonly string[]): void {
  if (names.length === 0) return;
  const note: NewVolumes = { boot: bootId(), names };
  writeFileSync(join(directory, file), JSON.stringify(note), { mode: 0o600 });
}

/**
 * The volumes that the create of a container that was never recorded made for it alone. None after a reboot: a power cut may have taken
 * the record of a container that did run, and with it went the proof that nothing was written into them.
 */
export function newVolumesOf(directory: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(join(directory, file), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  try {
    const note = JSON.parse(text) as NewVolumes;
    return note.boot === bootId() ? note.names : [];
  } catch (error) {
    // Cut short while it was written: nothing was made yet.
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
