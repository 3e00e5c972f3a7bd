import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { invalid, messageOf, notFound, TugError } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import {
  bindMapped,
  type IdMaps,
  type IdRange,
  type MappingNamespace,
  mountMaps,
  openMappingNamespace,
} from "../../base/sys/mount/idmap.ts";
import { mountSpec, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import type { Remap } from "../../engine/containers/remap.ts";

/** The account that `--userns-remap=default` stands for. */
const defaultName = "dockremap";
const rangeSize = 65_536;
const firstRange = 100_000;

export interface RemapDeps {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly log: Log;
  /** Where the accounts are; another place in tests. */
  readonly etc?: string;
}

/**
 * What `--userns-remap` asks for: `default`, `user`, `user:group`, by name or number. The maps are the subordinate ids of these names
 * (subuid(5), subgid(5)), one range after the other. undefined when it is off, and for root, who cannot be mapped to himself.
 */
export async function openRemap(setting: string | undefined, deps: RemapDeps): Promise<Remap | undefined> {
  if (setting === undefined || setting === "") return undefined;
  const etc = deps.etc ?? "/etc";
  if (setting === "default") makeDefaultAccount(etc, deps.log);
  const names = accountsOf(setting, etc);
  if (names.user === "root") {
    deps.log.warn("User namespaces: root cannot be remapped with itself; user namespaces are OFF");
    return undefined;
  }
  const maps: IdMaps = {
    uid: rangesOf(join(etc, "subuid"), "subuid", names.user, names.uid),
    gid: rangesOf(join(etc, "subgid"), "subgid", names.group, names.gid),
  };
  const root = { uid: maps.uid[0]?.hostID ?? 0, gid: maps.gid[0]?.hostID ?? 0 };
  openDirectories(deps, root.gid);
  const namespace = await openMappingNamespace(mountMaps(maps));
  try {
    tryMapping(deps.dataRoot, namespace);
  } catch (error) {
    namespace[Symbol.dispose]();
    throw new TugError(
      "not-implemented",
      `userns-remap needs a kernel (Linux 5.19) and a file system below ${deps.dataRoot} that can mount layers with mapped ids: ${messageOf(error)}`,
      { cause: error },
    );
  }
  // By itself, where nobody removes a tree: a daemon that died in between left all layers mounted there.
  const view = join(deps.execRoot, "mapped-layers");
  mkdirSync(view, { recursive: true, mode: 0o700 });
  unmountIfMounted(view);
  deps.log.info("User namespaces: ID ranges will be mapped to subuid/subgid ranges", {
    user: names.user,
    group: names.group,
  });
  return {
    maps,
    root,
    bind: (source, target, options) => bindMapped(source, target, namespace, options),
    view: (source, use) => {
      bindMapped(source, view, namespace);
      try {
        use(view);
      } finally {
        unmountIfMounted(view);
      }
    },
    [Symbol.dispose]: () => {
      namespace[Symbol.dispose]();
      rmdirSync(view);
    },
  };
}

interface Accounts {
  readonly user: string;
  readonly uid: number;
  readonly group: string;
  readonly gid: number;
}

function accountsOf(setting: string, etc: string): Accounts {
  const [userPart = "", groupPart, ...rest] = (setting === "default" ? defaultName : setting).split(":");
  if (rest.length > 0 || userPart === "" || groupPart === "") {
    throw invalid(`invalid user/group specification in --userns-remap: "${setting}"`);
  }
  const users = entriesOf(join(etc, "passwd"));
  const groups = entriesOf(join(etc, "group"));
  const user = users.find(([name, , id]) => (/^\d+$/.test(userPart) ? id === userPart : name === userPart));
  if (!user) throw notFound(`error during "${userPart}" lookup: no such user`);
  const wanted = groupPart ?? user[0];
  const group = groups.find(([name, , id]) => (/^\d+$/.test(wanted ?? "") ? id === wanted : name === wanted));
  if (!group) throw notFound(`error during "${wanted}" lookup: no such group`);
  return { user: user[0] ?? "", uid: Number(user[2]), group: group[0] ?? "", gid: Number(group[2]) };
}

function entriesOf(path: string): readonly (readonly string[])[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.trim().split(":"));
}

/** All ranges of a name, also where they are given by number, one after the other from id 0 in the container. */
export function rangesOf(path: string, kind: string, name: string, id: number): readonly IdRange[] {
  const ranges: IdRange[] = [];
  let next = 0;
  for (const [who, first = "", count = ""] of readable(path)) {
    if (who !== name && who !== String(id)) continue;
    const hostID = Number(first);
    const size = Number(count);
    if (!/^\d+$/.test(first) || !/^\d+$/.test(count) || size === 0 || hostID + size > 2 ** 32 - 1) {
      throw invalid(`Can't create ID mappings: Could not parse ${path}: ${who}:${first}:${count}`);
    }
    ranges.push({ containerID: next, hostID, size });
    next += size;
  }
  if (ranges.length === 0) {
    throw invalid(
      `Can't create ID mappings: no ${kind} ranges found for ${kind === "subuid" ? "user" : "group"} "${name}"`,
    );
  }
  return ranges;
}

function readable(path: string): readonly (readonly string[])[] {
  try {
    return entriesOf(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Makes `dockremap` as Docker does, with the tools of the host: it is the host's table of accounts. */
function makeDefaultAccount(etc: string, log: Log): void {
  if (etc !== "/etc") return;
  if (!entriesOf("/etc/passwd").some(([name]) => name === defaultName)) {
    log.info("User namespaces: making the user that is mapped to", { user: defaultName });
    tool([
      "useradd",
      "--system",
      "--user-group",
      "--no-create-home",
      "--shell",
      "/usr/sbin/nologin",
      defaultName,
    ]);
  }
  for (const [file, flag] of [
    ["/etc/subuid", "--add-subuids"],
    ["/etc/subgid", "--add-subgids"],
  ] as const) {
    const entries = readable(file);
    if (entries.some(([name]) => name === defaultName)) continue;
    const free = entries.reduce(
      (end, [, first, count]) => Math.max(end, Number(first) + Number(count)),
      firstRange,
    );
    tool(["usermod", flag, `${free}-${free + rangeSize - 1}`, defaultName]);
  }
}

function tool(command: string[]): void {
  const done = Bun.spawnSync(command, { stdout: "ignore", stderr: "pipe" });
  if (done.exitCode === 0) return;
  throw new TugError(
    "internal",
    `couldn't create remapped root: ${command[0]} failed: ${done.stderr.toString().trim()}`,
  );
}

/**
 * The container's root passes through the daemon's directories on the way to its own; its group may, nobody else, and nobody may
 * list them.
 */
function openDirectories(deps: RemapDeps, gid: number): void {
  for (const root of [deps.dataRoot, deps.execRoot]) {
    // Clients of the socket pass through the exec root already.
    for (let above = root === deps.dataRoot ? dirname(root) : root; ; above = dirname(above)) {
      if ((statSync(above).mode & 0o001) === 0) {
        throw new TugError(
          "forbidden",
          `a subdirectory in your graphroot path (${root}) restricts access to the remapped root uid/gid; please fix by allowing 'o+x' permissions on existing directories: ${above}`,
        );
      }
      if (above === "/") break;
    }
    const containers = join(root, "containers");
    mkdirSync(containers, { recursive: true, mode: 0o700 });
    for (const path of root === deps.dataRoot ? [root, containers] : [containers]) {
      chownSync(path, 0, gid);
      chmodSync(path, 0o710);
    }
  }
}

/** The whole thing once, before any container relies on it. */
function tryMapping(dataRoot: string, namespace: MappingNamespace): void {
  const base = mkdtempSync(join(dataRoot, "remap-probe-"));
  const view = join(base, "view");
  const merged = join(base, "merged");
  try {
    for (const name of ["layers/lower", "layers/upper", "layers/work", "view", "merged"]) {
      mkdirSync(join(base, name), { recursive: true });
    }
    bindMapped(join(base, "layers"), view, namespace);
    const options = [`lowerdir=${view}/lower`, `upperdir=${view}/upper`, `workdir=${view}/work`];
    mountSpec({ type: "overlay", source: "overlay", options }, merged);
    mkdirSync(join(merged, "made"));
  } finally {
    for (const path of [merged, view]) unmountIfMounted(path);
    rmSync(base, { recursive: true, force: true });
  }
}
