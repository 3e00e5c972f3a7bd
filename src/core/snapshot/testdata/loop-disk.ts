import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** File systems that can be made, with what makes them and the Debian package of that. */
const makers = {
  btrfs: { command: ["mkfs.btrfs", "-q"], package: "btrfs-progs" },
  ext4: { command: ["mkfs.ext4", "-q", "-F"], package: "e2fsprogs" },
  xfs: { command: ["mkfs.xfs", "-q"], package: "xfsprogs" },
} as const;

/**
 * A file system of its own in a sparse file, mounted through a loop device.
 *
 *     const missing = LoopDisk.missing("btrfs");
 *     const disk = LoopDisk.make("btrfs");
 *     afterAll(() => disk.close());
 */
export class LoopDisk {
  readonly path: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.path = join(root, "mnt");
  }

  /** Why one cannot be made here; undefined when it can. */
  static missing(type: keyof typeof makers): string | undefined {
    const maker = makers[type];
    if (!Bun.which(maker.command[0], { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }))
      return `${maker.command[0]} is not installed (Debian package ${maker.package})`;
    try {
      new LoopDisk(makeDisk(type, [], "")).close();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  static make(
    type: keyof typeof makers,
    options: { readonly format?: readonly string[]; readonly mount?: string } = {},
  ): LoopDisk {
    return new LoopDisk(makeDisk(type, options.format ?? [], options.mount ?? ""));
  }

  close(): void {
    must("umount", this.path);
    rmSync(this.#root, { recursive: true });
  }
}

function makeDisk(type: keyof typeof makers, format: readonly string[], options: string): string {
  const root = mkdtempSync(join(tmpdir(), `disk-${type}-`));
  try {
    const image = join(root, "image");
    writeFileSync(image, "");
    truncateSync(image, 512 << 20);
    must(...makers[type].command, ...format, image);
    mkdirSync(join(root, "mnt"));
    must(
      "mount",
      "-t",
      type,
      "-o",
      ["loop", options].filter((one) => one !== "").join(","),
      image,
      join(root, "mnt"),
    );
    return root;
  } catch (error) {
    rmSync(root, { recursive: true, force: true });
    throw error;
  }
}

function must(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, {
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
  });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}
