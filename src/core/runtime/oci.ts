import type { CgroupPaths } from "../../base/sys/cgroup/cgroup.ts";
import type { OciResources, OciSpec } from "./runtime.ts";

/**
 * An OCI runtime program (crun, runc or one that speaks their command line). The monitor runs its `create` and `exec`; the
 * rest is asked here, so that a driver that knows its program can do without spawning it.
 */
export interface OciRuntime {
  /** As HostConfig.Runtime and `info` say it. */
  readonly name: string;
  /** The program, absolute. */
  readonly path: string;
  /** Arguments that come before the command: --root, --cgroup-manager ... */
  readonly globalArgs: readonly string[];
  /** Options of its `run` that leave the container's cgroup there after its end, so that what the kernel counted in it can be read. */
  readonly runOptions?: readonly string[];
  /** What the monitor starts for `create`: the program itself, or another way to the same one. */
  command(): OciCommand;
  /** What the monitor starts for `exec` in a running container. */
  execCommand(task: OciTask): OciCommand;
  /** What is written to config.json: the spec, or an equivalent one that this program starts faster. */
  prepare(spec: OciSpec): Promise<OciSpec>;
  /** Lets the created container's init run its program. */
  start(task: OciTask): Promise<void>;
  /** Removes what `create` left in the program's root and the container's cgroups. Idempotent; the init must be dead. */
  delete(task: OciTask): Promise<void>;
  update(task: OciTask, resources: OciResources): Promise<void>;
  checkpoint(
    task: OciTask,
    options: { readonly image: string; readonly leaveRunning: boolean },
  ): Promise<void>;
  /** Throws not-implemented when it cannot run containers on this host. */
  probe(): Promise<void>;
}

/** A program and the arguments before the command's own. */
export interface OciCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** It will move a process into the container's cgroup from outside, for which the kernel can be readied; else it goes there by itself. */
  readonly moves: boolean;
}

/** What an `OciRuntime` needs to know of a container. */
export interface OciTask {
  readonly id: string;
  readonly pid: number;
  readonly bundle: string;
  readonly cgroups: CgroupPaths;
  /** The spec has hooks that the program itself must run. */
  readonly hooks: boolean;
}
