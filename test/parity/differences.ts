import type { Result } from "../harness/daemon.ts";

/**
 * Where Tug differs from Debian's dockerd 20.10 on purpose: the step, why, and what Tug says instead of what that one
 * said. Tug serves the newest API, so where Docker's own text has changed since, the newest one is right.
 */
export interface Difference {
  readonly scenario: string;
  readonly command: string;
  readonly why: string;
  /** Laid over the judge's result. */
  readonly tug: Partial<Result>;
}

const help = "\nSee 'docker run --help'.";
const daemon = (text: string) => `docker: Error response from daemon: ${text}.`;
const refused = (text: string) => `Error response from daemon: ${text}`;
const upper = "invalid reference format: repository name (library/UPPER) must be lowercase";
const images = "images --format {{.Repository}}:{{.Tag}}";
const shim =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";

/** The newest Docker words it so. */
const newer = (scenario: string, command: string, tug: Partial<Result>): Difference => ({
  scenario,
  command: `docker ${command}`,
  why: "Docker has reworded it since",
  tug,
});
/** The newest Docker behaves so. */
const since = (scenario: string, command: string, why: string, tug: Partial<Result>): Difference => ({
  scenario,
  command: `docker ${command}`,
  why,
  tug,
});

export const differences: readonly Difference[] = [
  newer("unknown command", "run --rm busybox nosuch", {
    stderr: daemon(`${shim}exec: "nosuch": executable file not found in $PATH: unknown`),
  }),
  newer("unknown absolute command", "run --rm busybox /no/such", {
    stderr: daemon(`${shim}exec: "/no/such": stat /no/such: no such file or directory: unknown`),
  }),
  newer("a command without the right to run", "run --rm busybox /etc/passwd", {
    stderr: daemon(`${shim}exec: "/etc/passwd": permission denied: unknown`),
  }),
  newer("a directory as command", "run --rm busybox /etc", {
    stderr: daemon(`${shim}exec: "/etc": permission denied: unknown`),
  }),
  since(
    "memory refusals",
    "run --rm --cpu-shares -1 busybox sh -c true",
    "since 28 it is refused before the container is made",
    { stderr: daemon("invalid CPU shares (-1): value must be a positive integer") + help },
  ),
  since(
    "volume refusals",
    "run --rm -v / busybox sh -c true",
    "Docker lets the runtime stumble over a volume in place of the root; it refuses / everywhere else",
    {
      code: 125,
      stderr:
        daemon(
          `invalid volume specification: '/': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
        ) + help,
    },
  ),
  newer("names", "rm qq", {
    stderr:
      'Error response from daemon: cannot remove container "/qq": container is running: stop the container before removing or force remove',
  }),
  newer("stop, start, state", "kill pp", {
    stderr: "Error response from daemon: cannot kill container: pp: container <id> is not running",
  }),
  newer("stop, start, state", "kill -s NOSUCH pp", {
    stderr: "Error response from daemon: cannot kill container: pp: invalid signal: NOSUCH",
  }),
  since(
    "exec",
    "exec pp nosuch",
    "since 25 the exec says 127 for a command that is not found, as `run` does",
    {
      code: 127,
    },
  ),
  since("exec", "exec -u nosuch pp true", "since 27 the user is looked up before the exec is made", {
    code: 1,
    stdout: "",
    stderr: "Error response from daemon: unable to find user nosuch: no matching entries in passwd file",
  }),
  since(
    "networks",
    "network inspect -f {{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.IPAM.Config}} net",
    "since 26 the gateway is shown even where nobody asked for one",
    { stdout: "net bridge local false [{10.204.0.0/24  10.204.0.1 map[]}]" },
  ),
  since(
    "networks",
    "run --rm --network net --ip 10.9.9.9 busybox true",
    "since 25 it is refused before the container is made",
    {
      stderr:
        daemon(
          "invalid config for network net: invalid endpoint settings:\nno configured subnet contains IP address 10.9.9.9",
        ) + help,
    },
  ),
  newer("networks", "network create --subnet nonsense nn", {
    stderr:
      "Error response from daemon: invalid network config:\ninvalid subnet nonsense: invalid CIDR block notation",
  }),
  newer("pid, ipc and network of another container", "run --rm --ipc nosuch busybox sh -c true", {
    stderr: daemon("invalid IPC mode: nosuch") + help,
  }),
  since(
    "create and its inspect",
    "inspect -f {{.HostConfig.NetworkMode}} pp",
    "since 26 the default network is called by its name",
    { stdout: "bridge" },
  ),
  newer("restart policy refusals", "create --restart nosuch busybox", {
    stderr:
      "Error response from daemon: invalid restart policy: unknown policy 'nosuch'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  }),
  newer("restart policy refusals", "create --restart always:3 busybox", {
    stderr:
      "Error response from daemon: invalid restart policy: maximum retry count can only be used with 'on-failure'",
  }),
  newer("ps and its filters", "ps -a --format {{.Names}} -f status=nosuch", {
    stderr:
      "Error response from daemon: invalid filter 'status=nosuch': invalid value for state (nosuch): must be one of created, running, paused, restarting, removing, exited, dead",
  }),
  newer("ps and its filters", "ps -a --format {{.Names}} -f health=nosuch", {
    stderr:
      "Error response from daemon: invalid filter 'health=nosuch': invalid value for health (nosuch): must be one of none, starting, healthy, unhealthy",
  }),
  newer("ps and its filters", "ps -a --format {{.Names}} -f exited=x", {
    stderr:
      "Error response from daemon: invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax",
  }),
  newer("ps and its filters", "ps -a --format {{.Names}} -f since=nosuch", {
    stderr: "Error response from daemon: No such container: nosuch",
  }),
  newer("ps and its filters", "ps -a --format {{.Names}} -f publish=x", {
    stderr:
      "Error response from daemon: error while looking up for publish x: invalid start port 'x': invalid syntax",
  }),
  newer("network settings of a running container", "network rm nn", {
    stderr:
      'Error response from daemon: error while removing network: network nn has active endpoints (name:"pp" id:"<short>")',
  }),
  newer("network settings of a running container", "network connect --ip 10.9.9.9 nn pp", {
    stderr:
      "Error response from daemon: invalid endpoint settings:\nno configured subnet contains IP address 10.9.9.9",
  }),
  newer("cp", "cp pp:/d/f/x /tmp", {
    stderr: "Error response from daemon: lstat /d/f/x: not a directory",
  }),
  newer("rename, restart, update, attach", "update --restart nosuch pp", {
    stderr:
      "Error response from daemon: invalid restart policy: unknown policy 'nosuch'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  }),
  newer("rename, restart, update, attach", "rm pp", {
    stderr:
      'Error response from daemon: cannot remove container "/pp": container is paused and must be unpaused first',
  }),
  newer("tags", "rmi UPPER", { stderr: refused(upper) }),
  newer("archives of images", "save -o <client>/x.tar UPPER", { stderr: refused(upper) }),
  newer("lists of images", `${images} -f reference=[`, {
    stderr: refused("invalid filter 'reference=[[]': syntax error in pattern"),
  }),
  since("more of images", "load -i /etc/passwd", "there is no untar program whose status could be told", {
    stderr: "archive/tar: invalid tar header",
  }),
  since(
    "more of images",
    "import /etc/passwd bad:1",
    "there is no untar program whose status could be told",
    {
      stderr: "Error response from daemon: archive/tar: invalid tar header",
    },
  ),
  newer(
    "names and addresses inside",
    "run --rm -h a-name-that-is-very-much-longer-than-sixty-three-characters-which-is-allowed busybox sh -c true",
    {
      stderr:
        daemon(
          'hostname "a-name-that-is-very-much-longer-than-sixty-three-characters-which-is-allowed" is too long (maximum 64 bytes)',
        ) + help,
    },
  ),
  newer("privileges", "run --rm --runtime nosuch busybox sh -c true", {
    stderr: daemon("unknown or invalid runtime name: nosuch") + help,
  }),
  newer("privileges", "run --rm --isolation hyperv busybox sh -c true", {
    stderr: daemon("invalid isolation (hyperv): linux only supports 'default'") + help,
  }),
  since(
    "resources inside",
    "run --rm --kernel-memory 32m busybox sh -c true",
    "since API 1.42 there is no such limit, and the kernel has none",
    { stderr: "" },
  ),
  since(
    "resources inside",
    "run --rm --sysctl net.core.somaxconn=9 --network host busybox sh -c true",
    "Docker leaves it to the runtime; nothing is made that cannot start",
    {
      stderr:
        daemon("sysctl 'net.core.somaxconn' is not allowed as conflicting host network namespace") + help,
    },
  ),
  since(
    "resources inside",
    "run --rm --sysctl kernel.msgmax=9 --ipc host busybox sh -c true",
    "Docker leaves it to the runtime; nothing is made that cannot start",
    { stderr: daemon("sysctl 'kernel.msgmax' is not allowed as conflicting host ipc namespace") + help },
  ),
  ...[
    ["/etc/passwd", "/etc"],
    ["/etc", "/etc/passwd"],
  ].map(([source = "", target = ""]) =>
    newer("files inside", `run --rm -v ${source}:${target} busybox sh -c true`, {
      stderr: daemon(
        `${shim}error during container init: error mounting "${source}" to rootfs at "${target}": not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type`,
      ),
    }),
  ),
  newer("processes", "exec -w rel pp pwd", {
    stdout: "the working directory 'rel' is invalid, it needs to be an absolute path",
  }),
  since(
    "processes",
    "exec pp ",
    "since 25 the exec says 127 for a command that is not found, as `run` does",
    {
      code: 127,
    },
  ),
  since(
    "processes",
    "run --rm --detach-keys nonsense busybox true",
    "since 23 it is refused before the stream",
    {
      stderr: "unable to upgrade to tcp, received 400",
    },
  ),
  newer("restart policies", "create --restart on-failure:-1 busybox", {
    stderr: "Error response from daemon: invalid restart policy: maximum retry count cannot be negative",
  }),
  newer("restart policies", "create --restart no:1 busybox", {
    stderr:
      "Error response from daemon: invalid restart policy: maximum retry count can only be used with 'on-failure'",
  }),
  ...[
    ["99", "the linux daemon does not support signal 99"],
    ["0", "invalid signal: 0"],
    ["SIGNOSUCH", "invalid signal: SIGNOSUCH"],
  ].map(([signal = "", text = ""]) =>
    newer("stop, kill and restart with signals", `kill -s ${signal} pp`, {
      stderr: `Error response from daemon: cannot kill container: pp: ${text}`,
    }),
  ),
  newer("bad flags of run", "run --rm --runtime x/y busybox true", {
    stderr: daemon("unknown or invalid runtime name: x/y") + help,
  }),
  ...[
    ["99999999999", "uids and gids must be in range 0-2147483647"],
    ["a:b:c", "unable to find user a: no matching entries in passwd file"],
  ].map(([user = "", text = ""]) =>
    since(
      "bad flags of create and exec",
      `exec -u ${user} pp true`,
      "since 27 the user is looked up before the exec is made",
      { code: 1, stdout: "", stderr: `Error response from daemon: ${text}` },
    ),
  ),
  newer("bad flags of create and exec", "rm pp", {
    stderr:
      'Error response from daemon: cannot remove container "/pp": container is running: stop the container before removing or force remove',
  }),
  since(
    "links",
    `run --rm --link srv:db busybox sh -c grep -wE 'db|srv' /etc/hosts | awk '{$1=""; print}' | sed 's/[0-9a-f]\\{12\\}/<short>/'; env | grep -E '^DB_PORT' | sort`,
    "since 29 links give no environment variables",
    { stdout: " db <short> srv" },
  ),
];
