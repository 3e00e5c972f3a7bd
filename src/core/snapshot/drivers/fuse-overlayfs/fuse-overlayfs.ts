import { accessSync, constants, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { messageOf } from "../../../../base/lib/errors.ts";
import { AT_FDCWD, closeFd, O, openat, unlinkat } from "../../../../base/sys/at.ts";
import { walkTree } from "../../../../base/sys/walk.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { directoryOptions, openOverlaySnapshots, type WritableParts } from "../../overlay-snapshots.ts";
import { layersProblem } from "../../probe.ts";
import { readSize } from "../../read-size.ts";
import type { Mount, Snapshotter } from "../../snapshotter.ts";

export interface FuseOverlayDeps extends SnapshotterDeps {
  /** Absolute path of the program. */
  readonly program: string;
}

/**
 * Snapshots in overlay's layout of which the writable ones are mounted by the program fuse-overlayfs, for file systems that the
 * kernel's overlay cannot write to. What is only read is mounted by the kernel. The program that serves a mount outlives the daemon.
 */
export async function openFuseOverlay(deps: FuseOverlayDeps): Promise<Snapshotter> {
  endStrays(deps.root);
  return await openOverlaySnapshots(deps, {
    name: "fuse-overlayfs",
    marks: true,
    quotas: undefined,
    hooks: {},
    status: () => [],
    readOptions: (options) =>
      readSize(options, {
        unknown: () => "--storage-opt is not supported",
        refusal: "--storage-opt is not supported",
      }),
    mountWritable: (parts) => writable(deps.program, parts),
    clean: removeMarks,
  });
}

/** The kernel's overlay, which mounts committed layers, would show them. */
async function removeMarks(upper: string): Promise<void> {
  const root = openat(AT_FDCWD, upper, O.PATH | O.DIRECTORY);
  try {
    let since = performance.now();
    for (const { dir, name, stat } of walkTree(root)) {
      if (name.startsWith(".wh.") && stat.kind !== "directory") unlinkat(dir, name);
      if (performance.now() - since < 4) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      since = performance.now();
    }
  } finally {
    closeFd(root);
  }
}

/** fuse-overlayfs(1); without "dev" and "suid" FUSE mounts with nodev and nosuid. */
function writable(program: string, parts: WritableParts): Mount {
  const options = ["dev", "suid", ...directoryOptions(parts), ...(parts.volatile ? ["volatile"] : [])];
  return { type: "fuse.fuse-overlayfs", source: program, options };
}

/** Why fuse-overlayfs cannot be used on `root`, or undefined when it can: one is mounted. */
export function fuseOverlayProblem(root: string, program: string | undefined): string | undefined {
  if (program === undefined)
    return "the program fuse-overlayfs was not found (Debian package fuse-overlayfs)";
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
  } catch (error) {
    return `FUSE cannot be used: ${messageOf(error)}`;
  }
  return layersProblem(root, (parts) => writable(program, parts));
}

/**
 * Ends what was left of looks at stopped containers whose helper was killed: their process and their mount namespace keep each
 * other. A container's own mount is in the daemon's namespace and stays.
 */
function endStrays(root: string): void {
  const ours = readlinkSync("/proc/self/ns/mnt");
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (!readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("fuse-overlayfs")) continue;
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`workdir=${root}/`)) continue;
      if (readlinkSync(`/proc/${pid}/ns/mnt`) !== ours) process.kill(Number(pid), "SIGTERM");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It ended meanwhile.
      if (code !== "ENOENT" && code !== "ESRCH") throw error;
    }
  }
}
