import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { run, TestDaemon, tugBinary } from "../test/harness/daemon.ts";
import { removeCgroups } from "../test/harness/leftovers.ts";
import { RealDocker } from "../test/harness/real-docker.ts";

/** One engine under measurement: how to call its CLI, and which processes count as its own. */
export interface Engine {
  readonly name: "tug" | "docker" | "podman";
  /** Prefix of every command, e.g. ["docker"]. */
  readonly cli: readonly string[];
  readonly env: Record<string, string>;
  /** A folder of the host's on the same disk as the engine's data. */
  readonly scratch: string;
  /** Process id of the daemon; undefined for an engine without one. */
  readonly daemonPid: number | undefined;
  /** Ends what is being measured; undefined: it may not be interrupted. */
  readonly signal?: AbortSignal;
  /** Ids of all processes that belong to the engine (daemon, monitors, proxies), without the containers' own. */
  pids(): number[];
  close(): Promise<void>;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // it ended
  }
}

function pidsMatching(pattern: RegExp): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => pattern.test(commandLine(pid)));
}

const quoted = (text: string) => text.replace(/[/.]/g, "\\$&");

/** Ctrl-C on the terminal is for the bench alone, which ends them in order. */
const ownSession = ["setsid"];

export async function startTug(root: string): Promise<Engine> {
  const daemon = await TestDaemon.start({ root, launcher: ownSession });
  return {
    name: "tug",
    cli: [tugBinary],
    env: { DOCKER_HOST: daemon.host },
    scratch: dirname(root),
    daemonPid: daemon.pid,
    pids: () => pidsMatching(new RegExp(`(tug|conmon|bun).*${quoted(root)}`)),
    close: () => daemon.close(),
  };
}

export async function startDocker(root: string): Promise<Engine> {
  const docker = await RealDocker.start({ root, launcher: ownSession });
  return {
    name: "docker",
    cli: ["/usr/bin/docker"],
    env: { DOCKER_HOST: docker.host },
    scratch: dirname(root),
    daemonPid: docker.pid,
    pids: () => pidsMatching(new RegExp(`(dockerd|containerd|docker-proxy).*${quoted(root)}`)),
    close: () => docker.close(),
  };
}

export async function startPodman(root: string): Promise<Engine | undefined> {
  if (!existsSync("/usr/bin/podman")) return undefined;
  mkdirSync(root, { recursive: true });
  // Its bridge and its iptables rules are to end with it: a network namespace of its own, as dockerd has.
  const host = Bun.spawn(
    [...ownSession, "unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  await host.stdout.getReader().read();
  const foreign = cgroupsNamed("libpod_parent");
  const cli = [
    "nsenter",
    `--net=/proc/${host.pid}/ns/net`,
    "/usr/bin/podman",
    "--root",
    join(root, "data"),
    "--runroot",
    join(root, "run"),
    "--tmpdir",
    join(root, "tmp"),
    "--cgroup-manager=cgroupfs",
    "--events-backend=file",
  ];
  // Podman asks for limits above the hard ones where the machine has lower, and then fails to start anything.
  const config = join(root, "containers.conf");
  writeFileSync(config, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n');
  const env = { CONTAINERS_CONF: config };
  const tar = Bun.spawnSync([resolve(import.meta.dir, "../scripts/busybox-image.sh")]).stdout;
  const imported = await run([...cli, "import", "--change", 'CMD ["sh"]', "-", "busybox"], {
    input: tar,
    env,
  });
  const close = async () => {
    await run([...cli, "rm", "-f", "-a", "-t", "0"], { env });
    await run([...cli, "system", "reset", "-f"], { env });
    host.kill("SIGKILL");
    await host.exited;
    for (const path of cgroupsNamed("libpod_parent")) if (!foreign.includes(path)) removeCgroups(path);
    rmSync(root, { recursive: true, force: true });
  };
  if (imported.code !== 0) {
    console.error(`podman cannot be measured here: ${imported.stderr.trim()}`);
    await close();
    return undefined;
  }
  return {
    name: "podman",
    cli,
    env,
    scratch: dirname(root),
    daemonPid: undefined,
    pids: () => pidsMatching(new RegExp(`conmon.*${quoted(root)}`)),
    close,
  };
}

/** Cgroups of that name, one in each hierarchy. */
function cgroupsNamed(name: string): readonly string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...readdirSync(root).map((hierarchy) => join(root, hierarchy))]
    .map((hierarchy) => join(hierarchy, name))
    .filter((path) => existsSync(path));
}

/** Resident and proportional bytes of some processes together. */
export function memory(pids: readonly number[]): {
  readonly resident: number;
  readonly proportional: number;
} {
  let resident = 0;
  let proportional = 0;
  for (const pid of pids) {
    let text: string;
    try {
      text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    } catch {
      continue; // it ended
    }
    resident += Number(/^Rss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
    proportional += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
  }
  return { resident, proportional };
}
