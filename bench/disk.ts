import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A disk of our own: an image file with a journalled ext4. Falls back to a plain folder, and says so. */
export class Disk implements Disposable {
  readonly path: string;
  readonly #base: string;
  readonly #mounted: boolean;

  constructor() {
    this.#base = mkdtempSync(join(tmpdir(), "tug-bench-"));
    this.path = join(this.#base, "disk");
    const image = join(this.#base, "disk.img");
    mkdirSync(this.path);
    const steps = [
      ["truncate", "-s", "12G", image],
      ["mkfs.ext4", "-q", "-F", image],
      ["mount", "-o", "loop", image, this.path],
    ];
    this.#mounted = steps.every((step) => Bun.spawnSync(step).exitCode === 0);
    if (!this.#mounted) console.error("no loop device here: measuring on the plain file system");
  }

  [Symbol.dispose](): void {
    // What still holds it open has it for as long as it lives, and nobody sees it any more.
    if (this.#mounted && Bun.spawnSync(["umount", this.path]).exitCode !== 0)
      Bun.spawnSync(["umount", "-l", this.path]);
    rmSync(this.#base, { recursive: true, force: true });
  }
}
