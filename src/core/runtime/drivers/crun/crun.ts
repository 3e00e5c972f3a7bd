import { closeSync, constants, openSync, rmSync, statSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type CgroupHierarchy, removeCgroup } from "../../../../base/sys/cgroup.ts";
import type { OciRuntime, OciTask } from "../../oci.ts";
import { runOciCommand } from "../../oci-command.ts";
import type { OciResources, OciSpec } from "../../runtime.ts";

export interface CrunDeps {
  readonly name?: string;
  readonly path: string;
  /** Where crun keeps its state: a directory of this daemon alone (--root). */
  readonly root: string;
  readonly cgroupManager: "cgroupfs" | "systemd";
  readonly hierarchy: CgroupHierarchy;
  /** Turns `linux.seccomp` into the filter program; without it crun compiles the profile itself, in 12 ms each time. */
  readonly compileSeccomp?: (profile: unknown) => Promise<Uint8Array>;
}

/** crun, driven with as few spawns as its documented on-disk protocol allows. */
export class Crun implements OciRuntime {
  readonly name: string;
  readonly path: string;
  readonly globalArgs: readonly string[];
  readonly #deps: CrunDeps;

  constructor(deps: CrunDeps) {
    this.#deps = deps;
    this.name = deps.name ?? "crun";
    this.path = deps.path;
    this.globalArgs = [`--root=${deps.root}`, `--cgroup-manager=${deps.cgroupManager}`];
  }

  async prepare(spec: OciSpec): Promise<OciSpec> {
    return spec;
  }

  /** `crun start` is: open the fifo that the init reads, unlink it, write a byte. Poststart hooks need the program. */
  async start(task: OciTask): Promise<void> {
    if (task.hooks) return await this.#run("start", task.id);
    const fifo = join(this.#deps.root, task.id, "exec.fifo");
    let fd: number;
    try {
      fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      // ENXIO: no init reads any more; ENOENT: another layout. crun knows what to say of either.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENXIO" && code !== "ENOENT") throw error;
      return await this.#run("start", task.id);
    }
    try {
      unlinkSync(fifo);
      writeSync(fd, new Uint8Array(1));
    } finally {
      closeSync(fd);
    }
  }

  async delete(task: OciTask): Promise<void> {
    const state = join(this.#deps.root, task.id);
    const exists = statSync(state, { throwIfNoEntry: false }) !== undefined;
    // A systemd scope, poststop hooks and a cgroup with survivors are crun's business.
    if (exists && (task.hooks || this.#deps.cgroupManager === "systemd"))
      await this.#run("delete", "--force", task.id);
    if (!removeCgroup(task.cgroups) && exists) await this.#run("delete", "--force", task.id);
    rmSync(state, { recursive: true, force: true });
  }

  async update(task: OciTask, resources: OciResources): Promise<void> {
    await runOciCommand(
      this.path,
      [...this.globalArgs, "update", "--resources", "-", task.id],
      JSON.stringify(resources),
    );
  }

  async probe(): Promise<void> {
    await runOciCommand(this.path, ["--version"]);
  }

  async #run(...args: string[]): Promise<void> {
    await runOciCommand(this.path, [...this.globalArgs, ...args]);
  }
}
