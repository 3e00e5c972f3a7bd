import { posix } from "node:path";
import type { Log } from "../../base/lib/log.ts";
import { shellQuoted } from "../../base/lib/shell.ts";
import { type CgroupPaths, removeEmptyCgroup } from "../../base/sys/cgroup/cgroup.ts";

/**
 * systemd's unit of one container, delegated to us (systemd's "CGROUP_DELEGATION"): the cgroup "container" in it is the container's, with
 * its limits, and on v2 "monitor" is conmon's. The monitor lives in it because systemd removes a scope with its last process, and with it
 * what the kernel counted there: who looks for an OOM kill only then comes too late. This way the container is never the last: conmon
 * reads memory.events after the container's end and before its own, and writes the "oom" file before the "exit" file.
 */
export interface Scope {
  /** "tug-<id>.scope". */
  readonly unit: string;
  /** The slice that it lies in: "system.slice". */
  readonly slice: string;
  /** Its cgroup. */
  readonly cgroups: CgroupPaths;
}

/** How long systemd may take to let go of a scope. */
const STOP_TIMEOUT_MS = 10_000;
/** systemctl's exit status for a unit that is not loaded (LSB's for a program that is not installed). */
const NOT_LOADED = 5;

/** The scope of its own that a container's cgroup lies in; undefined for one that is not systemd's. */
export function scopeOf(container: CgroupPaths, id: string): Scope | undefined {
  const cgroups: Record<string, string> = {};
  let found: Pick<Scope, "unit" | "slice"> | undefined;
  for (const [controller, path] of Object.entries(container)) {
    const words = path.split("/");
    const at = words.findIndex((word) => word.endsWith(`-${id}.scope`));
    const unit = words[at];
    if (unit === undefined) continue;
    const above = words[at - 1] ?? "";
    found = { unit, slice: above.endsWith(".slice") ? above : "-.slice" };
    cgroups[controller] = words.slice(0, at + 1).join("/");
  }
  return found && { ...found, cgroups };
}

/** The command line that begins the scope and becomes the command in it. A scope that cannot begin says why on standard error. */
export function commandInScope({ unit, slice, cgroups }: Scope, command: readonly string[]): string[] {
  const begin = [
    ...["systemd-run", "--scope", "--quiet", "--collect", `--unit=${unit}`, `--slice=${slice}`],
    // systemd bounds the tasks of every scope (DefaultTasksMax, systemd-system.conf(5)); only limits that were asked for are to hold.
    ...[`--description=${unit}`, "--property=Delegate=yes", "--property=TasksMax=infinity"],
  ];
  const scope = cgroups[""];
  if (scope === undefined) return [...begin, ...command];
  // A v2 cgroup with limits below it has no processes of its own ("No Internal Process Constraint"). No "$" here: newer versions of
  // systemd-run would expand it.
  const monitor = posix.join(scope, "monitor");
  const move = `mkdir -p ${shellQuoted(monitor)} && echo 0 >${shellQuoted(posix.join(monitor, "cgroup.procs"))}`;
  return [...begin, "/bin/sh", "-c", `${move} && exec ${command.map(shellQuoted).join(" ")}`];
}

/**
 * Ends what is left of a container's scope; then its name can be used again. Never fails: what stays behind systemd removes when the last
 * process is gone.
 */
export async function endScope(scope: Scope, log: Log): Promise<void> {
  const child = Bun.spawn(["systemctl", "stop", "--quiet", scope.unit], {
    stdio: ["ignore", "ignore", "ignore"],
    timeout: STOP_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const status = await child.exited;
  if (status !== 0 && status !== NOT_LOADED)
    log.warn("a container's scope was not stopped", { unit: scope.unit, status });
  // v1: systemd knows nothing of controllers that it does not use.
  removeEmptyCgroup(scope.cgroups);
}
