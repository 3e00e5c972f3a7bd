import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { processStat } from "../process/pidfd.ts";

/** Key of a hybrid host's v2 tree, in which the runtimes make a cgroup too although it controls nothing. */
export const UNIFIED = "unified";

/**
 * Where the host's cgroup controllers are mounted. v1 has a tree a controller (or a few co-mounted ones), v2 one tree for
 * all; a hybrid host (v1 controllers beside an empty v2 tree) counts as v1, as it does for every OCI runtime.
 */
export interface CgroupHierarchy {
  readonly version: "v1" | "v2";
  /** Controllers usable here, as /sys/fs/cgroup/cgroup.controllers or the v1 mounts name them. */
  readonly controllers: readonly string[];
  /**
   * v1: controller -> mount, with "unified" for the v2 tree that a hybrid host has besides; v2: "" -> mount. `root` is what of
   * the tree the mount shows (mountinfo field 4).
   */
  readonly mounts: ReadonlyMap<string, { readonly path: string; readonly root: string }>;
}

/** Reads the hierarchy from this process's mountinfo (proc(5)). */
export function probeCgroups(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): CgroupHierarchy {
  const v1 = new Map<string, { path: string; root: string }>();
  let v2: { path: string; root: string } | undefined;
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root = "/", path = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    if (!path.startsWith("/sys/fs/cgroup")) continue;
    if (type === "cgroup2" && path === "/sys/fs/cgroup") v2 = { path, root };
    else if (type === "cgroup2") v1.set(UNIFIED, { path, root });
    if (type !== "cgroup") continue;
    for (const option of options.split(",")) {
      if (option === "rw" || option === "ro" || option === "xattr" || option === "clone_children") continue;
      if (option.startsWith("release_agent=")) continue;
      v1.set(option, { path, root });
    }
  }
  if (v2) {
    const controllers = readText(join(v2.path, "cgroup.controllers"))?.split(/\s+/).filter(Boolean) ?? [];
    return { version: "v2", controllers, mounts: new Map([["", v2]]) };
  }
  return {
    version: "v1",
    controllers: [...v1.keys()].filter((name) => !name.includes("=") && name !== UNIFIED),
    mounts: v1,
  };
}

/** The directories of one cgroup: by controller on v1, under "" on v2. */
export type CgroupPaths = Readonly<Record<string, string>>;

/** The directories that /proc/<pid>/cgroup says the process is in; `undefined` when it is gone. */
export function cgroupsOf(hierarchy: CgroupHierarchy, pid: number): CgroupPaths | undefined {
  const text = readText(`/proc/${pid}/cgroup`);
  if (!text) return undefined;
  const paths: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [, controllers, ...rest] = line.split(":");
    if (controllers === undefined) continue;
    const path = rest.join(":");
    if (hierarchy.version === "v2" && controllers !== "") continue;
    for (const controller of controllers.split(",")) {
      const name = hierarchy.version === "v1" && controller === "" ? UNIFIED : controller;
      const mount = hierarchy.mounts.get(name);
      if (!mount) continue;
      const below = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
      paths[name] = join(mount.path, below);
    }
  }
  return paths;
}

/** Where a cgroup path of the OCI spec lies in each tree. */
export function cgroupPathsFor(hierarchy: CgroupHierarchy, cgroupsPath: string): CgroupPaths {
  const paths: Record<string, string> = {};
  for (const [controller, mount] of hierarchy.mounts) paths[controller] = join(mount.path, cgroupsPath);
  return paths;
}

/** The directory that holds a controller's files; on v2 there is only one. */
export function controllerPath(paths: CgroupPaths, controller: string): string | undefined {
  return paths[""] ?? paths[controller];
}

/** A file's text, `undefined` when it (or its cgroup) does not exist. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Every process of the cgroup and of those below it. */
export function cgroupPids(paths: CgroupPaths): readonly number[] {
  const root = processDirectory(paths);
  if (root === undefined) return [];
  const pids: number[] = [];
  const visit = (directory: string) => {
    for (const word of processesText(directory).split("\n")) if (word !== "") pids.push(Number(word));
    for (const child of childrenOf(directory)) visit(child);
  };
  visit(root);
  return pids;
}

/** Kills all processes of the cgroup until none is left; fork bombs lose because the v2 kill file and rounds catch them. */
export function killCgroup(paths: CgroupPaths, signal: number): number {
  let hit = 0;
  const killFile = paths[""] && join(paths[""], "cgroup.kill");
  if (signal === 9 && killFile && existsSync(killFile)) {
    hit = cgroupPids(paths).length;
    try {
      writeFileSync(killFile, "1");
    } catch (error) {
      // systemd removes a scope as soon as its last process is gone.
      if (!isGone(error) && (error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    }
    return hit;
  }
  const rounds = signal === 9 ? 10 : 1;
  for (let round = 0; round < rounds; round++) {
    const pids = cgroupPids(paths).filter((pid) => processStat(pid)?.state !== "Z");
    if (pids.length === 0) break;
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
        hit++;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
  }
  return hit;
}

/**
 * The v1 files to which a single thread writes "0" to go into the cgroup by itself; none on v2, where a lone thread cannot.
 * The v2 tree of a hybrid host is not among them: see `CgroupMoves.joinUnified`.
 */
export function threadFiles(paths: CgroupPaths): readonly string[] {
  if (paths[""] !== undefined) return [];
  const v1 = Object.entries(paths).filter(([name]) => name !== UNIFIED);
  return [...new Set(v1.map(([, path]) => join(path, "tasks")))].filter((path) => existsSync(path));
}

/** How many more processes the cgroup may have: Infinity without a limit. */
export function processRoom(paths: CgroupPaths): number {
  const directory = controllerPath(paths, "pids");
  const limit = Number.parseInt((directory && readText(join(directory, "pids.max"))) ?? "", 10);
  if (!directory || Number.isNaN(limit)) return Number.POSITIVE_INFINITY; // "max"
  return Math.max(0, limit - Number.parseInt(readText(join(directory, "pids.current")) ?? "0", 10));
}

/** Removes the cgroup and those below it from every tree. False while a process is still in one of them. */
export function removeCgroup(paths: CgroupPaths): boolean {
  let clean = true;
  for (const directory of new Set(Object.values(paths))) {
    if (!removeTree(directory)) clean = false;
  }
  return clean;
}

/** Removes the cgroup unless something is in it, be it only another cgroup. */
export function removeEmptyCgroup(paths: CgroupPaths): void {
  for (const directory of new Set(Object.values(paths))) {
    try {
      rmdirSync(directory);
    } catch (error) {
      if (!isGone(error) && !isBusy(error)) throw error;
    }
  }
}

/** "frozen" once every task stopped; freezing takes a moment. */
export function freezeState(paths: CgroupPaths): "frozen" | "freezing" | "thawed" {
  if (paths[""] !== undefined) {
    const wanted = readText(join(paths[""], "cgroup.freeze"))?.trim() === "1";
    const reached = /^frozen 1$/m.test(readText(join(paths[""], "cgroup.events")) ?? "");
    return reached ? "frozen" : wanted ? "freezing" : "thawed";
  }
  const state = paths["freezer"] && readText(join(paths["freezer"], "freezer.state"))?.trim();
  return state === "FROZEN" ? "frozen" : state === "FREEZING" ? "freezing" : "thawed";
}

/** Asks the kernel to freeze or thaw the cgroup; see `freezeState` for when it happened. False when it cannot. */
export function setFrozen(paths: CgroupPaths, frozen: boolean): boolean {
  const file =
    paths[""] !== undefined
      ? join(paths[""], "cgroup.freeze")
      : paths["freezer"] && join(paths["freezer"], "freezer.state");
  if (!file || !existsSync(file)) return false;
  writeFileSync(file, paths[""] !== undefined ? (frozen ? "1" : "0") : frozen ? "FROZEN" : "THAWED");
  return true;
}

/** How often the kernel killed for memory in this cgroup (memory.events v2, memory.oom_control v1); 0 when it cannot tell. */
export function oomKills(paths: CgroupPaths): number {
  const directory = controllerPath(paths, "memory");
  if (directory === undefined) return 0;
  const text = readText(join(directory, paths[""] !== undefined ? "memory.events" : "memory.oom_control"));
  return Number(/^oom_kill (\d+)$/m.exec(text ?? "")?.[1] ?? 0);
}

/** The v2 cgroup whose file "memory.events" changes with OOM kills; v1 has no such file. */
export function memoryEventsOf(
  paths: CgroupPaths,
): { readonly directory: string; readonly name: string } | undefined {
  const directory = paths[""];
  return directory === undefined ? undefined : { directory, name: "memory.events" };
}

/** Whether the OOM killer was called for this v2 cgroup; the kill itself follows. */
export function oomBegan(paths: CgroupPaths): boolean {
  const { directory = "", name = "" } = memoryEventsOf(paths) ?? {};
  return /^(?:oom|oom_kill) [1-9]/m.test(readText(join(directory, name)) ?? "");
}

/**
 * A threaded cgroup, which a container that may write to its own can make, does not tell of processes: EOPNOTSUPP, and the cgroup
 * above has them (cgroup-v2, "Threads").
 */
function processesText(directory: string): string {
  try {
    return readText(join(directory, "cgroup.procs")) ?? "";
  } catch (error) {
    if (["EOPNOTSUPP", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function processDirectory(paths: CgroupPaths): string | undefined {
  return paths[""] ?? paths["pids"] ?? paths["freezer"] ?? paths["memory"] ?? Object.values(paths)[0];
}

function childrenOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(directory, entry.name));
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function removeTree(directory: string): boolean {
  // Most cgroups have no children: trying first saves reading the directory.
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (isGone(error)) return true;
    if (!isBusy(error)) throw error;
  }
  let clean = true;
  for (const child of childrenOf(directory)) clean = removeTree(child) && clean;
  if (!clean) return false;
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (isGone(error)) return true;
    if (isBusy(error)) return false;
    throw error;
  }
}

const isGone = (error: unknown) =>
  ["ENOENT", "ENODEV", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "");
const isBusy = (error: unknown) =>
  ["EBUSY", "ENOTEMPTY"].includes((error as NodeJS.ErrnoException).code ?? "");
