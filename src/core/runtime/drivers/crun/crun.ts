import { closeSync, constants, openSync, statSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type CgroupHierarchy, removeCgroup } from "../../../../base/sys/cgroup/cgroup.ts";
import { type SealedProgram, sealProgram } from "../../../../base/sys/process/sealed-program.ts";
import { removeDirectory } from "../../../../base/sys/remove-tree.ts";
import type { OciCommand, OciRuntime, OciTask } from "../../oci.ts";
import { OciProgram } from "../../oci-program.ts";
import type { OciResources, OciSpec } from "../../runtime.ts";
import type { OciSeccomp } from "../../spec/seccomp.ts";
import { JoinedExec } from "./joined-exec.ts";

interface Linux {
  readonly seccomp?: OciSeccomp;
  readonly resources?: OciResources;
}

const SEALED_LINGER_MS = 60_000;
/** Also where systemd owns the tree: there its cgroup lies in a scope that is ours (scope.ts). */
const manager = "--cgroup-manager=cgroupfs";
const BPF_ANNOTATION = "run.oci.seccomp_bpf_data";

export interface CrunDeps {
  readonly name?: string;
  readonly path: string;
  /** Where crun keeps its state: a directory of this daemon alone (--root). */
  readonly root: string;
  readonly hierarchy: CgroupHierarchy;
  /** Turns `linux.seccomp` into the filter program; without it crun compiles the profile itself, at every start. */
  readonly seccomp?: { program(profile: OciSeccomp): Uint8Array };
}

/** crun, driven with as few spawns as its documented on-disk protocol allows. */
export class Crun extends OciProgram implements OciRuntime {
  readonly name: string;
  readonly #deps: CrunDeps;
  readonly #joined: JoinedExec | undefined;
  #sealed: { readonly of: string; readonly program: SealedProgram | undefined } | undefined;

  constructor(deps: CrunDeps) {
    super(deps.path, [`--root=${deps.root}`, manager]);
    this.#deps = deps;
    this.name = deps.name ?? "crun";
    if (deps.hierarchy.version === "v1")
      this.#joined = new JoinedExec({ stateRoot: deps.root, args: [manager] });
  }

  command(): OciCommand {
    return { program: this.#program(), args: this.globalArgs, moves: true };
  }

  execCommand(task: OciTask): OciCommand {
    return this.#joined?.command(this.#program(), task) ?? this.command();
  }

  /** A sealed copy that is started instead of the file, made anew when the file was replaced (an upgrade). */
  #program(): string {
    const { mtimeNs, ino, size } = statSync(this.path, { bigint: true });
    const of = `${ino} ${mtimeNs} ${size}`;
    if (this.#sealed?.of !== of) {
      // A monitor that was started a moment ago may still be about to execute the old one.
      const old = this.#sealed?.program;
      if (old) setTimeout(() => old[Symbol.dispose](), SEALED_LINGER_MS).unref();
      this.#sealed = { of, program: sealProgram(this.path) };
    }
    return this.#sealed.program?.path ?? this.path;
  }

  /**
   * Replaces `linux.seccomp` by the compiled program, which crun takes as an annotation (crun(1),
   * "run.oci.seccomp_bpf_data"). A profile with flags or a listener stays as it is: those crun reads there.
   */
  async prepare(spec: OciSpec): Promise<OciSpec> {
    const linux = withoutUnlimitedPids(spec["linux"] as Linux | undefined);
    const profile = linux?.seccomp;
    if (!profile || !this.#deps.seccomp || profile.listenerPath || (profile.flags?.length ?? 0) > 0)
      return { ...spec, linux };
    const program = Buffer.from(this.#deps.seccomp.program(profile)).toString("base64");
    const { seccomp: _compiled, ...rest } = linux;
    const annotations = { ...(spec["annotations"] as object | undefined), [BPF_ANNOTATION]: program };
    return { ...spec, linux: rest, annotations };
  }

  /** `crun start` is: open the fifo that the init reads, unlink it, write a byte. Poststart hooks need the program. */
  async start(task: OciTask): Promise<void> {
    if (task.hooks) return await this.run("start", task.id);
    const fifo = join(this.#deps.root, task.id, "exec.fifo");
    let fd: number;
    try {
      fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      // ENXIO: no init reads any more; ENOENT: another layout. crun knows what to say of either.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENXIO" && code !== "ENOENT") throw error;
      return await this.run("start", task.id);
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
    // Poststop hooks and a cgroup with survivors are crun's business.
    if (exists && task.hooks) await this.deleteByForce(task.id);
    if (!removeCgroup(task.cgroups) && exists) await this.deleteByForce(task.id);
    await removeDirectory(state);
    this.#joined?.forget(task.id);
  }
}

/** crun 1.8 writes "-1" to pids.max, which the kernel refuses; a new cgroup has no limit anyway. */
function withoutUnlimitedPids(linux: Linux | undefined): Linux | undefined {
  const pids = linux?.resources?.["pids"] as { readonly limit?: number } | undefined;
  if (!linux?.resources || pids?.limit === undefined || pids.limit >= 0) return linux;
  const { pids: _unlimited, ...resources } = linux.resources;
  return { ...linux, resources };
}
