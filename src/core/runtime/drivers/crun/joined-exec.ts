import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { internal } from "../../../../base/lib/errors.ts";
import { processRoom, threadFiles } from "../../../../base/sys/cgroup/cgroup.ts";
import type { OciCommand, OciTask } from "../../oci.ts";

/**
 * `crun exec` on cgroup v1 without moving a process from outside.
 *
 * Writing another process's id to cgroup.procs takes cgroup_threadgroup_rwsem for writing: an RCU grace period, 8 to 20 ms and
 * most of an exec's time. A single thread that writes "0" to a v1 `tasks` file moves itself and skips that lock
 * (cgroup_procs_write_start in kernel/cgroup/cgroup.c, since Linux 5.5). So a shell goes into the container's cgroups by itself and
 * becomes crun, whose children are born there; and crun is told of a container without a cgroup of its own, by a second state
 * root in which only that differs. As with runc, the runtime's own work then counts as the container's.
 */
export class JoinedExec {
  readonly #root: string;
  readonly #stateRoot: string;
  readonly #args: readonly string[];

  /** `stateRoot` is crun's --root; `args` are its other arguments. */
  constructor(deps: { readonly stateRoot: string; readonly args: readonly string[] }) {
    this.#stateRoot = deps.stateRoot;
    this.#root = `${deps.stateRoot}-exec`;
    this.#args = deps.args;
  }

  /** How to start `crun`, found at `program`, in the container; `undefined` where it can only be moved in. */
  command(program: string, task: OciTask): OciCommand | undefined {
    const files = threadFiles(task.cgroups);
    if (files.length === 0 || !existsSync(SHELL)) return undefined;
    // Moving a process in is not subject to the limit: a container that is full of processes can still be looked at.
    if (processRoom(task.cgroups) < ROOM) return undefined;
    this.#describe(task.id);
    return {
      program: SHELL,
      args: ["-c", JOIN, "sh", ...files, "--", program, `--root=${this.#root}`, ...this.#args],
      moves: false,
    };
  }

  /** Forgets the container; the next one of that id is another process. */
  forget(id: string): void {
    rmSync(join(this.#root, id), { recursive: true, force: true });
  }

  /** Writes the second state directory. Its status comes last, so one that a crash cut short is made anew. */
  #describe(id: string): void {
    const directory = join(this.#root, id);
    const status = join(directory, STATUS);
    if (existsSync(status)) return;
    this.forget(id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of ["config.json", "seccomp.bpf"])
      symlinkSync(join(this.#stateRoot, id, name), join(directory, name));
    writeFileSync(`${status}.new`, withoutCgroup(join(this.#stateRoot, id, STATUS)), { mode: 0o600 });
    renameSync(`${status}.new`, status);
  }
}

/** crun, the process between, the exec's own, and some for what the container itself starts meanwhile. */
const ROOM = 8;
const SHELL = "/bin/sh";
const STATUS = "status";
/** Goes into each cgroup up to `--`, then becomes the rest. The paths are arguments: nothing in them is read as shell. */
const JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@"';

/** crun moves nothing for an empty path (libcrun_move_process_to_cgroup). */
function withoutCgroup(path: string): string {
  const status: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (typeof status !== "object" || status === null) throw internal(`${path} is not a crun status`);
  return JSON.stringify({ ...status, "cgroup-path": "" });
}
