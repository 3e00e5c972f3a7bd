import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountPoints, processes } from "./machine.ts";

/** What one daemon is known by on the machine. */
export interface Instance {
  readonly root: string;
  /** Its name in nftables and the cgroup hierarchies. */
  readonly name: string;
  readonly bridge: string;
}

/**
 * Takes everything of a daemon that is dead off the machine, whatever state it was in, so that one failed test is one failure and
 * not also that of every check for left-overs after it. It asserts nothing: that was done before.
 */
export async function removeLeftovers(instance: Instance): Promise<void> {
  const cgroups = [...new Bun.Glob(`{*,.}/${instance.name}`).scanSync(scan)].map((path) =>
    join("/sys/fs/cgroup", path),
  );
  const members = () => [
    ...cgroups.flatMap((path) => pidsBelow(path)),
    ...processes()
      .filter((one) => one.pid !== process.pid && one.command.includes(`${instance.root}/`))
      .map((one) => one.pid),
  ];
  // A monitor whose container was killed ends by itself; one that is being started may yet show up.
  for (const end = performance.now() + 30_000; members().length > 0 && performance.now() < end; ) {
    for (const path of cgroups) thaw(path);
    for (const pid of members()) kill(pid);
    await Bun.sleep(20);
  }
  const mounts = mountPoints().filter((point) => point.startsWith(`${instance.root}/`));
  for (const point of mounts.reverse()) quietly("umount", "-l", point);
  // The bridges of its user-defined networks are named for the networks: only its own rules say that they are its.
  const rules = Bun.spawnSync(["nft", "list", "table", "inet", instance.name]).stdout.toString();
  const bridges = new Set([instance.bridge, ...(rules.match(/\bbr-[0-9a-f]{12}\b/g) ?? [])]);
  quietly("nft", "delete", "table", "inet", instance.name);
  const links = Bun.spawnSync(["ip", "-o", "link", "show", "type", "veth"]).stdout.toString();
  for (const line of links.split("\n")) {
    const name = /^\d+: ([^:@]+)/.exec(line)?.[1];
    const master = / master (\S+)/.exec(line)?.[1];
    if (name && master && bridges.has(master)) quietly("ip", "link", "del", name);
  }
  for (const bridge of bridges) quietly("ip", "link", "del", bridge);
  for (const path of cgroups) removeCgroups(path);
}

const scan = { cwd: "/sys/fs/cgroup", onlyFiles: false, dot: true } as const;

function quietly(...command: string[]): void {
  Bun.spawnSync(command, { stdio: ["ignore", "ignore", "ignore"] });
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function childrenOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name));
  } catch {
    return []; // gone while we looked
  }
}

function pidsBelow(path: string): number[] {
  let own: number[] = [];
  try {
    own = readFileSync(join(path, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  } catch {
    return []; // gone while we looked
  }
  return [...own, ...childrenOf(path).flatMap(pidsBelow)];
}

/** What is frozen in a v1 hierarchy does not die before it is thawed. */
function thaw(path: string): void {
  const state = join(path, "freezer.state");
  if (existsSync(state)) writeFileSync(state, "THAWED");
  for (const child of childrenOf(path)) thaw(child);
}

/** A cgroup and all below it; what is still busy stays. */
export function removeCgroups(path: string): void {
  for (const child of childrenOf(path)) removeCgroups(child);
  try {
    rmdirSync(path);
  } catch {
    // one that is still busy shows in the next check of the machine
  }
}
