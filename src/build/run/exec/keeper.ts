import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { internal } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { commandInScope, endScope, type Scope } from "../../../core/runtime/scope.ts";
import { cgroupsListOf } from "./workspace.ts";

const START_TIMEOUT_MS = 60_000;

/**
 * Ends steps whose daemon is gone. A RUN step has no meaning without it, but nothing in the kernel ties their lives together: the
 * runtime's own child may change its credentials, which takes a parent-death signal away. So a shell waits for the end of a pipe
 * that the daemon alone holds, which comes however the daemon ends, and kills the cgroups of the steps that there are then. What
 * else they leave (mounts, directories) the next daemon takes away, and the cgroups too, should somebody have killed the keeper.
 *
 * Where systemd owns the cgroups, the steps' lie in a scope that is delegated to us, which lives as long as a process in it: the keeper.
 */
export class Keeper implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #scope: Scope | undefined;
  readonly #log: Log;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "pipe">, scope: Scope | undefined, log: Log) {
    this.#child = child;
    this.#scope = scope;
    this.#log = log;
  }

  /** `root` is the runner's, `steps` the directory of the steps' directories. It ends the steps of this process alone. Returns when it watches, and its scope stands. */
  static async start(place: {
    readonly root: string;
    readonly steps: string;
    readonly scope: Scope | undefined;
    readonly log: Log;
  }): Promise<Keeper> {
    const { root, steps, scope, log } = place;
    // In a file: what stands in the command line systemd-run may want to expand.
    const script = join(root, "keeper.sh");
    writeFileSync(script, SCRIPT, { mode: 0o600 });
    const command = ["/bin/sh", script, steps, cgroupsListOf(process.pid)];
    const child = Bun.spawn(scope ? commandInScope(scope, command) : command, {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: "/",
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      // A Ctrl-C at a daemon in a terminal is not for it.
      detached: true,
    });
    child.unref();
    // systemd may not answer.
    const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    clearTimeout(timer);
    await reader.cancel();
    if (!done) return new Keeper(child, scope, log);
    const reason = (await child.stderr.text()).trim() || "no answer";
    throw internal(`build steps cannot be watched over${scope ? ` in ${scope.unit}` : ""}: ${reason}`);
  }

  get runs(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends it before it could do anything to steps that others watch over; its own are over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    if (this.#scope) await endScope(this.#scope, this.#log);
  }
}

/**
 * Those of a daemon that starts meanwhile are none of its business, however late it comes to look: their lists have another name. Several rounds, because a runtime that was
 * still making a container may only now get to it. A container's init takes all its processes along; cgroup.kill is cgroup v2's.
 */
export const SCRIPT = `
echo ready
exec >/dev/null 2>&1
while read -r line; do :; done
set -- "$1"/*/"$2"
[ -e "$1" ] || exit 0
round=0
while [ $round -lt 30 ]; do
  left=
  for list; do
    [ -r "$list" ] || continue
    while read -r dir; do
      [ -d "$dir" ] || continue
      left=yes
      if [ -e "$dir/cgroup.kill" ]; then echo 1 >"$dir/cgroup.kill"
      else while read -r pid; do kill -9 "$pid"; done <"$dir/cgroup.procs"; fi
      rmdir "$dir"/container "$dir"
    done <"$list"
  done
  round=$((round + 1))
  [ -z "$left" ] && [ $round -gt 10 ] && exit 0
  sleep 0.1
done
`;
