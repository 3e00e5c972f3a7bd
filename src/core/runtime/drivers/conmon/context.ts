import { invalid } from "../../../../base/lib/errors.ts";
import type { Log } from "../../../../base/lib/log.ts";
import type { CgroupHierarchy } from "../../../../base/sys/cgroup/cgroup.ts";
import type { CgroupMoves } from "../../../../base/sys/cgroup/moves.ts";
import type { OciRuntime, OciTask } from "../../oci.ts";
import type { Task, TaskTable } from "./task-table.ts";

export interface TaskRuntimeDeps {
  /** conmon's program, absolute. */
  readonly conmon: string;
  /** By name, as HostConfig.Runtime asks for them. */
  readonly runtimes: ReadonlyMap<string, OciRuntime>;
  readonly defaultRuntime: string;
  readonly hierarchy: CgroupHierarchy;
  readonly log: Log;
  /** How long a runtime may take to create a container before it counts as hung. */
  readonly createTimeoutMs?: number;
  /** How often to look for containers that ended without their monitor saying so. */
  readonly sweepMs?: number;
}

/** What the operations on tasks share. */
export interface TaskContext {
  readonly deps: TaskRuntimeDeps;
  /** This boot's id: records of another one are void. */
  readonly boot: string;
  readonly tasks: TaskTable;
  readonly moves: CgroupMoves;
  /** Gives the host's /dev/null back to its owner, after a runtime had it. */
  readonly keepNullDevice: () => void;
}

export const createTimeoutMs = (context: TaskContext): number => context.deps.createTimeoutMs ?? 60_000;

export function runtimeNamed({ deps }: TaskContext, name: string | undefined): OciRuntime {
  const wanted = name || deps.defaultRuntime;
  const runtime = deps.runtimes.get(wanted);
  if (!runtime) throw invalid(`unknown or invalid runtime name: ${wanted}`);
  return runtime;
}

/** A task as its OCI runtime is asked about it. */
export function ociTask({ id, dirs, record }: Task): OciTask {
  const { init, cgroups, hooks } = record;
  return { id, pid: init?.pid ?? 0, bundle: dirs.state, cgroups, hooks };
}
