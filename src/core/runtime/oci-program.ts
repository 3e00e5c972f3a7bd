import { internal, TugError } from "../../base/lib/errors.ts";
import { criuEnvironment } from "./criu-environment.ts";
import { criuReason } from "./criu-log.ts";
import type { OciTask } from "./oci.ts";
import { runOciCommand } from "./oci-command.ts";
import { liftPidsLimit } from "./pids-limit.ts";
import type { OciResources } from "./runtime.ts";

/** Limits are written in no time; lowering one of memory may have to reclaim some. */
const UPDATE_TIMEOUT_MS = 10_000;
/** The processes are gone by then. Shorter than anybody waits for a container that was killed. */
const DELETE_TIMEOUT_MS = 5000;
/** Writing out the memory of a large container takes its time. */
const CHECKPOINT_TIMEOUT_MS = 30 * 60_000;

/** A program with runc's command line: what drivers of such programs have in common. */
export abstract class OciProgram {
  readonly path: string;
  /** Options before every command. */
  readonly globalArgs: readonly string[];

  constructor(path: string, globalArgs: readonly string[]) {
    this.path = path;
    this.globalArgs = globalArgs;
  }

  async probe(): Promise<void> {
    await runOciCommand(this.path, ["--version"]);
  }

  /** `update`; nothing to change is no command. */
  async update(task: OciTask, resources: OciResources): Promise<void> {
    const rest = liftPidsLimit(task.cgroups, resources);
    if (Object.keys(rest).length === 0) return;
    const args = [...this.globalArgs, "update", "--resources", "-", task.id];
    await runOciCommand(this.path, args, { input: JSON.stringify(rest), timeoutMs: UPDATE_TIMEOUT_MS });
  }

  /** `checkpoint`. Its log stays in the image's directory, as CRIU's errors point there. */
  async checkpoint(
    task: OciTask,
    options: { readonly image: string; readonly leaveRunning: boolean },
  ): Promise<void> {
    const { id } = task;
    const args = [
      ...[...this.globalArgs, "checkpoint", "--image-path", options.image, "--work-path", options.image],
      ...(options.leaveRunning ? ["--leave-running"] : []),
      id,
    ];
    try {
      const env = criuEnvironment(task.bundle);
      await runOciCommand(this.path, args, { env, timeoutMs: CHECKPOINT_TIMEOUT_MS });
    } catch (error) {
      throw checkpointFailure(error, { id, program: this.path, image: options.image });
    }
  }

  protected async run(...args: string[]): Promise<void> {
    await runOciCommand(this.path, [...this.globalArgs, ...args]);
  }

  /**
   * `delete --force` of a container whose processes have ended. A program that cannot do it (it was replaced, its state is torn) is
   * not asked again: what it is needed for by then is its own state and the cgroups, and those the caller removes itself.
   */
  protected async deleteByForce(id: string): Promise<void> {
    try {
      const options = { timeoutMs: DELETE_TIMEOUT_MS };
      await runOciCommand(this.path, [...this.globalArgs, "delete", "--force", id], options);
    } catch (error) {
      if (!(error instanceof TugError)) throw error;
    }
  }
}

/** Why a checkpoint failed, in words of what is missing. */
function checkpointFailure(
  error: unknown,
  { id, program, image }: { readonly id: string; readonly program: string; readonly image: string },
): unknown {
  if (error instanceof TugError && /unknown command|not supported|built without/i.test(error.message)) {
    const way = "run the container with a runtime that has it (--runtime runc) to checkpoint it";
    const text = `Cannot checkpoint container ${id}: ${program} was built without CRIU: ${way}`;
    return new TugError("not-implemented", text, { cause: error });
  }
  if (error instanceof TugError && /criu.*(?:not found|no such file)/i.test(error.message)) {
    const text = `Cannot checkpoint container ${id}: CRIU is not installed on this host`;
    return new TugError("not-implemented", text, { cause: error });
  }
  const reason = criuReason(image, "dump.log");
  return reason === "" ? error : internal(`Cannot checkpoint container ${id}: criu: ${reason}`, error);
}
