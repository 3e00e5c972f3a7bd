import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { removeCgroup } from "../../../../base/sys/cgroup/cgroup.ts";
import { removeDirectory } from "../../../../base/sys/remove-tree.ts";
import type { OciCommand, OciRuntime, OciTask } from "../../oci.ts";
import { OciProgram } from "../../oci-program.ts";
import type { OciSpec } from "../../runtime.ts";

export interface RuncDeps {
  readonly name?: string;
  readonly path: string;
  /** Where the runtime keeps its state: a directory of this daemon alone (--root). */
  readonly root: string;
  /** Options of the daemon's configuration for a runtime of its own (runtimes.*.runtimeArgs). */
  readonly args?: readonly string[];
}

/** runc, and any program that speaks runc's command line: driven by its commands alone. */
export class Runc extends OciProgram implements OciRuntime {
  readonly name: string;
  readonly runOptions: readonly string[];
  readonly #root: string;

  constructor(deps: RuncDeps) {
    super(deps.path, [...(deps.args ?? []), `--root=${deps.root}`]);
    this.name = deps.name ?? "runc";
    this.#root = deps.root;
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
    await this.run("start", task.id);
  }

  async delete(task: OciTask): Promise<void> {
    const state = join(this.#root, task.id);
    if (statSync(state, { throwIfNoEntry: false }) !== undefined) await this.deleteByForce(task.id);
    removeCgroup(task.cgroups);
    await removeDirectory(state);
  }
}
