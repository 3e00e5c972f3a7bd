import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** What a container engine can leave on a machine, as sets of printable names. */
export interface MachineState {
  readonly mounts: ReadonlySet<string>;
  readonly links: ReadonlySet<string>;
  readonly tables: ReadonlySet<string>;
  readonly cgroups: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
  readonly processes: ReadonlySet<string>;
}

function output(command: readonly string[]): string {
  return Bun.spawnSync([...command], { stdio: ["ignore", "pipe", "ignore"] }).stdout.toString();
}

/** Directories of every cgroup hierarchy that carry an engine's name, three levels deep. */
function cgroups(): Set<string> {
  const found = new Set<string>();
  const walk = (path: string, depth: number) => {
    let entries: string[];
    try {
      entries = readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);
    } catch {
      return; // a cgroup that vanished while we looked
    }
    for (const name of entries) {
      if (/tug|libpod|[0-9a-f]{64}/.test(name)) found.add(join(path, name));
      if (depth < 4) walk(join(path, name), depth + 1);
    }
  };
  walk("/sys/fs/cgroup", 0);
  return found;
}

interface ProcessLook {
  readonly pid: number;
  readonly command: string;
  readonly netns: string;
}

/** Every process with its command line and network namespace. */
export function processes(): ProcessLook[] {
  const found: ProcessLook[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      found.push({
        pid: Number(name),
        command: readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim(),
        netns: readlinkSync(`/proc/${name}/ns/net`),
      });
    } catch {
      // it ended while we looked
    }
  }
  return found;
}

/** Mount points (fifth field of mountinfo, octal escapes kept). */
export function mountPoints(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split(" ")[4] ?? "");
}

export function machineState(): MachineState {
  const all = processes();
  return {
    mounts: new Set(mountPoints()),
    links: new Set(
      output(["ip", "-o", "link"])
        .split("\n")
        .map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? "")
        .filter(Boolean),
    ),
    tables: new Set(output(["nft", "list", "tables"]).split("\n").filter(Boolean)),
    cgroups: cgroups(),
    namespaces: new Set(all.map((one) => one.netns)),
    processes: new Set(
      all
        .filter((one) => /conmon|tug |\bcrun\b|\brunc\b/.test(one.command))
        .map((one) => `${one.pid} ${one.command}`),
    ),
  };
}

function usersOf(netns: string): string {
  const all = processes().filter((one) => one.netns === netns);
  return all.map(({ pid, command }) => `${pid} ${command}`).join(", ") || "nobody any more";
}

function difference(before: MachineState): string[] {
  const now = machineState();
  const left: string[] = [];
  for (const kind of ["mounts", "links", "tables", "cgroups", "namespaces", "processes"] as const) {
    for (const name of now[kind]) {
      if (before[kind].has(name)) continue;
      const users = kind === "namespaces" ? ` of ${usersOf(name)}` : "";
      left.push(`${kind}: ${name}${users}`);
    }
  }
  return left;
}

/**
 * What is there now and was not before. The kernel takes network namespaces and their veth ends down asynchronously, and on a busy machine
 * processes that were killed take a while to be gone: it looks again for up to half a minute before it calls something left behind.
 */
export async function newSince(before: MachineState): Promise<string[]> {
  let left = difference(before);
  for (const end = performance.now() + 30_000; left.length > 0 && performance.now() < end; ) {
    await Bun.sleep(50);
    left = difference(before);
  }
  return left;
}
