import { invalid } from "../../base/lib/errors.ts";
import type { DeviceRequest, Mount, ThrottleDevice } from "../../base/spec/docker/api.gen.ts";
import type { Dependency, SecretReference, TugHealthConfig } from "../../base/spec/docker/extensions.ts";
import { bool, custom, type Flag, integer, list, map, text, unsigned, type Values } from "../flags/flag.ts";
import { parseDuration } from "../format/units.ts";
import { bytes, limitFlags } from "./limit-flags.ts";
import { attachFlag, hostFlag, ipFlag, linkFlag, searchFlag, sysctlFlag } from "./values/checks.ts";
import { deviceRuleFlag, parseGpus } from "./values/devices.ts";
import { envFlag, labelFlag } from "./values/environment.ts";
import { parseDependency, parseHealthAction, parseSecret } from "./values/extensions.ts";
import { parseByteRate, parseOperationRate, parseUlimit, parseWeight, type Ulimit } from "./values/limits.ts";
import { parseMount } from "./values/mount.ts";
import { type NetworkAttachment, parseNetwork } from "./values/networks.ts";

const duration = (help: string): Flag<number> =>
  custom("duration", "", help, 0, (value) => parseDuration(value), { shown: "0s" });

const rates = (help: string, parse: (value: string) => ThrottleDevice): Flag<readonly ThrottleDevice[]> =>
  custom<readonly ThrottleDevice[]>("list", "", help, [], (value, current) => [...current, parse(value)], {
    shown: "[]",
  });

/** The flags that `run` and `create` share. */
export const containerFlags = {
  ...limitFlags,
  "add-host": list("", "Add a host to /etc/hosts (host:ip)", hostFlag),
  annotation: map("", "Annotation for the OCI runtime"),
  attach: list("a", "Attach to stdin, stdout or stderr", attachFlag),
  "blkio-weight-device": custom<readonly { Path: string; Weight: number }[]>(
    "list",
    "",
    "Weight of its block I/O on one device",
    [],
    (value, current) => [...current, parseWeight(value)],
    { shown: "[]" },
  ),
  "cap-add": list("", "Add a Linux capability"),
  "cap-drop": list("", "Drop a Linux capability"),
  "cgroup-parent": text("", "Parent of the container's cgroup"),
  cgroupns: text("", "Cgroup namespace: host, private, or the daemon's default when empty"),
  cidfile: text("", "Write the container's id to a file"),
  "cpu-count": integer("", "Number of CPUs (Windows only)"),
  "cpu-percent": integer("", "Percent of CPU (Windows only)"),
  "depends-on": custom<readonly (readonly [string, Dependency])[]>(
    "list",
    "",
    "Start it after another container at boot (name[:started|healthy|completed])",
    [],
    (value, current) => [...current, parseDependency(value)],
  ),
  device: list("", "Give it a device of the host"),
  "device-cgroup-rule": list("", "Allow devices by a cgroup rule", deviceRuleFlag),
  "device-read-bps": rates("Limit of bytes per second read from a device", parseByteRate),
  "device-read-iops": rates("Limit of reads per second from a device", parseOperationRate),
  "device-write-bps": rates("Limit of bytes per second written to a device", parseByteRate),
  "device-write-iops": rates("Limit of writes per second to a device", parseOperationRate),
  "disable-content-trust": bool("", "Skip the check of image signatures", { initial: true }),
  dns: list("", "DNS server to ask", ipFlag),
  "dns-option": list("", "Option for the resolver", undefined, { aliases: ["dns-opt"] }),
  "dns-search": list("", "Domain to search names in", searchFlag),
  domainname: text("", "NIS domain name"),
  entrypoint: text("", "Program to run instead of the image's"),
  env: list("e", "Set an environment variable", envFlag(process.env)),
  "env-file": list("", "Read environment variables from a file"),
  expose: list("", "Port, or range of ports, to expose"),
  gpus: custom<readonly DeviceRequest[]>(
    "gpu-request",
    "",
    "GPUs to give it ('all' for every one)",
    [],
    (value, current) => [...current, parseGpus(value)],
  ),
  "group-add": list("", "One more group to be in"),
  "health-cmd": text("", "Command that checks its health"),
  "health-interval": duration("Time between checks (ms, s, m, h)"),
  // Tug's own, as are --depends-on and --secret: see base/spec/docker/extensions.ts.
  "health-on-failure": custom<TugHealthConfig["OnFailure"]>(
    "string",
    "",
    "What to do when it becomes unhealthy: none, kill, restart or stop",
    undefined,
    parseHealthAction,
  ),
  "health-retries": integer("", "Failures in a row until it counts as unhealthy"),
  "health-start-interval": duration("Time between checks while it starts (ms, s, m, h)"),
  "health-start-period": duration("Time to start up in, before failures count (ms, s, m, h)"),
  "health-timeout": duration("Longest time for one check (ms, s, m, h)"),
  help: bool("", "Print usage"),
  hostname: text("h", "Its host name"),
  init: bool("", "Run an init inside that forwards signals and reaps processes"),
  interactive: bool("i", "Keep stdin open even when not attached"),
  "io-maxbandwidth": bytes("", "Limit of I/O bandwidth (Windows only)"),
  "io-maxiops": unsigned("", "Limit of I/O operations (Windows only)"),
  ip: text("", "IPv4 address"),
  ip6: text("", "IPv6 address"),
  ipc: text("", "IPC mode"),
  isolation: text("", "Isolation technology"),
  "kernel-memory": bytes("", "Limit of kernel memory"),
  label: list("l", "Set a label", labelFlag),
  "label-file": list("", "Read labels from a file"),
  link: list("", "Link to another container", linkFlag),
  "link-local-ip": list("", "IPv4 or IPv6 link-local address"),
  "log-driver": text("", "Where its output is logged"),
  "log-opt": list("", "Option of the log driver"),
  "mac-address": text("", "MAC address (92:d0:c6:0a:29:33)"),
  "memory-swappiness": { ...integer("", "Readiness to swap, 0 to 100", { initial: -1 }), shown: "-1" },
  mount: custom<readonly Mount[]>(
    "mount",
    "",
    "Mount a file system into the container",
    [],
    (value, current) => [...current, parseMount(value)],
  ),
  name: text("", "Name of the container"),
  network: custom<readonly NetworkAttachment[]>(
    "network",
    "",
    "Connect it to a network",
    [],
    (value, current) => [...current, parseNetwork(value)],
    { aliases: ["net"] },
  ),
  "network-alias": list("", "One more name for it on the network", undefined, { aliases: ["net-alias"] }),
  "no-healthcheck": bool("", "Drop the image's health check"),
  "oom-kill-disable": bool("", "Keep the kernel from killing it when memory runs out"),
  "oom-score-adj": integer("", "Preference of the kernel when it must kill (-1000 to 1000)"),
  pid: text("", "PID namespace"),
  platform: text("", "Platform of the image, when the registry has several"),
  privileged: bool("", "Give it all privileges"),
  publish: list("p", "Publish a port to the host"),
  "publish-all": bool("P", "Publish every exposed port to some port of the host"),
  pull: text("", "When to pull the image: always, missing or never", { initial: "missing" }),
  quiet: bool("q", "Do not show the progress of a pull"),
  "read-only": bool("", "Make its root file system read-only"),
  restart: text("", "What to do when it exits", { initial: "no" }),
  rm: bool("", "Remove it, with its anonymous volumes, when it exits"),
  runtime: text("", "OCI runtime to use"),
  secret: custom<readonly SecretReference[]>(
    "secret",
    "",
    "Show it a secret as a file (name, or source=,target=,uid=,gid=,mode=)",
    [],
    (value, current) => [...current, parseSecret(value)],
  ),
  "security-opt": list("", "Security option"),
  "shm-size": bytes("", "Size of /dev/shm"),
  "stop-signal": text("", "Signal that stops it"),
  "stop-timeout": integer("", "Seconds to stop in before it is killed"),
  "storage-opt": list("", "Option of the storage driver"),
  sysctl: map("", "Kernel parameter of its namespaces", sysctlFlag),
  tmpfs: list("", "Mount a tmpfs folder"),
  tty: bool("t", "Give it a terminal"),
  ulimit: custom<readonly Ulimit[]>(
    "ulimit",
    "",
    "Limit of a resource",
    [],
    (value, current) => {
      const limit = parseUlimit(value);
      return [...current.filter(({ Name }) => Name !== limit.Name), limit];
    },
    { shown: "[]" },
  ),
  "use-api-socket": bool("", "Give it the API's socket, with credentials"),
  user: text("u", "User name or id, and group (name|uid[:group|gid])"),
  userns: text("", "User namespace"),
  uts: text("", "UTS namespace"),
  volume: list("v", "Mount a volume or a folder of the host"),
  "volume-driver": text("", "Volume driver of its volumes"),
  "volumes-from": list("", "Mount the volumes of another container"),
  workdir: text("w", "Folder to start in"),
};

/** What `run` and `create` were told. */
export type ContainerOptions = Values<typeof containerFlags>;

/** The flags `run` has on top. */
export const runFlags = {
  ...containerFlags,
  detach: bool("d", "Leave it in the background and print its id"),
  "detach-keys": text("", "Keys that detach from the container"),
  "sig-proxy": bool("", "Pass signals on to the container", { initial: true }),
};

const windowsFlags = ["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"];

/** Flags of Windows containers are refused, not ignored. */
export function refuseWindowsFlags(changed: ReadonlySet<string>): void {
  const given = windowsFlags.filter((name) => changed.has(name));
  if (given.length === 0) return;
  throw invalid(
    given
      .map(
        (name) =>
          `"--${name}" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux`,
      )
      .join("\n"),
  );
}
