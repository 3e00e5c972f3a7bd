import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountPoints, processes } from "./machine.ts";

/** What one daemon is known by on the machine. */
export interface Instance {
  /** Everything of it is below, its containers' files are in `state`. */
  readonly root: string;
  readonly state: readonly string[];
  /** Its name in nftables and the cgroup hierarchies. */
  readonly name: string;
  readonly bridge: string;
}

/** What it has on the machine for its containers: without containers there is none. */
export function leftoversOfContainers({ root, state, name, bridge }: Instance): string[] {
  const left: string[] = [];
  for (const point of mountPoints()) if (point.startsWith(`${root}/`)) left.push(`mount ${point}`);
  for (const one of processesOf(root))
    if (/conmon|crun|runc/.test(one.command)) left.push(`process ${one.pid} ${one.command}`);
  // cgroup v1 has a hierarchy for each controller, v2 one.
  for (const hierarchy of ["", ...directoriesIn("/sys/fs/cgroup")]) {
    const own = join("/sys/fs/cgroup", hierarchy, name);
    for (const cgroup of directoriesIn(own)) left.push(`cgroup ${join(own, cgroup)}`);
  }
  const links = Bun.spawnSync(["ip", "-o", "link", "show", "type", "veth"]).stdout.toString();
  for (const line of links.split("\n")) if (line.includes(bridge)) left.push(`link ${line}`);
  for (const folder of ["containers", "crun", "exits"]) {
    for (const base of state) {
      for (const path of entriesOf(join(base, folder))) left.push(`file ${path}`);
    }
  }
  return left;
}

/** What else it has on the machine while it runs, and nothing of when it has ended. */
export function leftoversOfDaemon({ root, name, bridge }: Instance): string[] {
  const left: string[] = [];
  const tables = Bun.spawnSync(["nft", "list", "tables"]).stdout.toString();
  for (const line of tables.split("\n")) if (line.includes(name)) left.push(`nft ${line}`);
  if (Bun.spawnSync(["ip", "link", "show", bridge]).exitCode === 0) left.push(`bridge ${bridge}`);
  for (const one of processesOf(root)) left.push(`process ${one.pid} ${one.command}`);
  return left;
}

function processesOf(root: string) {
  return processes().filter((one) => one.pid !== process.pid && one.command.includes(`${root}/`));
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
    ...processesOf(instance.root).map((one) => one.pid),
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

/** Names of the directories in one; none when it is not there, or goes away while we look. */
export function directoriesIn(path: string): readonly string[] {
  return unlessGone(() => readdirSync(path, { withFileTypes: true }), [])
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

const childrenOf = (path: string) => directoriesIn(path).map((name) => join(path, name));
const entriesOf = (path: string) => unlessGone(() => readdirSync(path), []).map((name) => join(path, name));

/** What somebody else takes away meanwhile is no failure. */
function unlessGone<T>(look: () => T, gone: T): T {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "")) return gone;
    throw error;
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
  if (existsSync(state)) unlessGone(() => writeFileSync(state, "THAWED"), undefined);
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
