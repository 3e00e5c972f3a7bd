import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { removeCgroup } from "../../../../base/sys/cgroup/cgroup.ts";
import { removeDirectory } from "../../../../base/sys/remove-tree.ts";
import type { OciCommand, OciRuntime, OciTask } from "../../oci.ts";
import { checkpointCommand, deleteCommand, runOciCommand, updateCommand } from "../../oci-command.ts";
import { liftPidsLimit } from "../../pids-limit.ts";
import type { OciResources, OciSpec } from "../../runtime.ts";

export interface RuncDeps {
  readonly name?: string;
  readonly path: string;
  /** Where the runtime keeps its state: a directory of this daemon alone (--root). */
  readonly root: string;
  /** Options of the daemon's configuration for a runtime of its own (runtimes.*.runtimeArgs). */
  readonly args?: readonly string[];
}

/** runc, and any program that speaks runc's command line: driven by its commands alone. */
export class Runc implements OciRuntime {
  readonly name: string;
  readonly path: string;
  readonly globalArgs: readonly string[];
  readonly runOptions: readonly string[];
  readonly #root: string;

  constructor(deps: RuncDeps) {
    this.name = deps.name ?? "runc";
    this.path = deps.path;
    this.#root = deps.root;
    this.globalArgs = [...(deps.args ?? []), `--root=${deps.root}`];
    // Since runc 1.1; others of the same command line need not have it.
    this.runOptions = basename(deps.path) === "runc" ? ["--keep"] : [];
  }

  command(): OciCommand {
    return { program: this.path, args: this.globalArgs, moves: true };
  }

  execCommand(): OciCommand {
    return this.command();
  }

  async prepare(spec: OciSpec): Promise<OciSpec> {
    return spec;
  }

  async start(task: OciTask): Promise<void> {
    await this.#run("start", task.id);
  }

  async delete(task: OciTask): Promise<void> {
    const state = join(this.#root, task.id);
    if (statSync(state, { throwIfNoEntry: false }) !== undefined)
      await deleteCommand(this.path, this.globalArgs, task.id);
    removeCgroup(task.cgroups);
    await removeDirectory(state);
  }

  async update(task: OciTask, resources: OciResources): Promise<void> {
    const rest = liftPidsLimit(task.cgroups, resources);
    await updateCommand(this.path, this.globalArgs, task.id, rest);
  }

  async checkpoint(
    task: OciTask,
    options: { readonly image: string; readonly leaveRunning: boolean },
  ): Promise<void> {
    await checkpointCommand(this.path, this.globalArgs, task, options);
  }

  async probe(): Promise<void> {
    await runOciCommand(this.path, ["--version"]);
  }

  async #run(...args: string[]): Promise<void> {
    await runOciCommand(this.path, [...this.globalArgs, ...args]);
  }
}
