import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerId } from "../../../base/lib/ids.ts";
import type { CgroupPaths } from "../../../base/sys/cgroup/cgroup.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { readMountInfo } from "../../../base/sys/mount/mountinfo.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import type { StepRemap } from "./deps.ts";

/**
 * A step's directory: the OCI bundle, its root, and what is mounted for it. What lies there is enough for the next daemon to end the
 * step and take everything away.
 */
export interface Workspace {
  readonly id: ContainerId;
  readonly directory: string;
  readonly rootfs: string;
}

/**
 * Lines: the cgroup directories of the step, which are its alone. The name says whose the step is: the shell that ends a dead daemon's reads
 * those lists only.
 */
export function cgroupsListOf(daemon: number): string {
  return `${CGROUPS}-${daemon}`;
}
const CGROUPS = "cgroups";
/** Name of the runtime that runs it. */
const RUNTIME = "runtime";

export function stepsDirectory(root: string): string {
  return join(root, "steps");
}

export function openWorkspace(
  root: string,
  step: {
    readonly id: ContainerId;
    readonly cgroups: CgroupPaths;
    readonly runtime: string;
    readonly remap: StepRemap | undefined;
  },
): Workspace {
  const directory = join(stepsDirectory(root), step.id);
  const rootfs = join(directory, "rootfs");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, RUNTIME), step.runtime);
  const lines = [...new Set(Object.values(step.cgroups))].map((path) => `${path}\n`);
  writeFileSync(join(directory, cgroupsListOf(process.pid)), lines.join(""));
  mkdirSync(rootfs, { mode: 0o700 });
  if (step.remap) {
    // The step's root passes through on its way to what is mounted for it.
    for (const path of [root, stepsDirectory(root), directory]) passable(path, step.remap);
  }
  return { id: step.id, directory, rootfs };
}

/** Lets root of a mapped step pass through a directory, and nobody list it. */
export function passable(path: string, remap: StepRemap): void {
  chownSync(path, 0, remap.root.gid);
  chmodSync(path, 0o710);
}

/** What an earlier daemon left behind. */
export interface AbandonedStep {
  readonly id: string;
  readonly directory: string;
  readonly runtime: string;
  readonly cgroups: CgroupPaths;
}

export function abandonedSteps(root: string): readonly AbandonedStep[] {
  const steps = stepsDirectory(root);
  mkdirSync(steps, { recursive: true, mode: 0o700 });
  return readdirSync(steps).map((id) => {
    const directory = join(steps, id);
    const list = readdirSync(directory).find((name) => name.startsWith(CGROUPS)) ?? CGROUPS;
    const paths = textOf(join(directory, list)).split("\n").filter(Boolean);
    return {
      id,
      directory,
      runtime: textOf(join(directory, RUNTIME)),
      // By their place in the list: which controller is whose does not matter for killing and removing; v2 has one, under "".
      cgroups: Object.fromEntries(paths.map((path, at) => [paths.length === 1 ? "" : String(at), path])),
    };
  });
}

/** Removes a step's directory. Removing enters no mount: should one be left, it is taken away first, and then all of them. */
export async function removeWorkspace(directory: string): Promise<void> {
  try {
    await removeDirectory(directory);
  } catch (error) {
    if (!(error instanceof SystemError) || !["EXDEV", "EBUSY"].includes(error.code)) throw error;
    unmountBelow(directory);
    await removeDirectory(directory);
  }
}

/** Unmounts all that lies below a directory, innermost first. */
function unmountBelow(directory: string): void {
  const inside = readMountInfo()
    .map((mount) => mount.mountpoint)
    .filter((target) => target === directory || target.startsWith(`${directory}/`));
  for (const target of inside.reverse()) unmountIfMounted(target);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
