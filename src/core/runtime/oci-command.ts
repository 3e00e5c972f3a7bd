import { internal, TugError } from "../../base/lib/errors.ts";
import { criuEnvironment } from "./criu-environment.ts";
import { criuReason } from "./criu-log.ts";
import type { OciTask } from "./oci.ts";

/** A runtime's command ends in this time or is taken for hung. */
const TIMEOUT_MS = 60_000;
const OUTPUT_PATIENCE_MS = 2000;

/** Runs one command of an OCI runtime; throws `internal` with its complaint when it fails. Returns its stdout. */
export async function runOciCommand(
  program: string,
  args: readonly string[],
  input?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn([program, ...args], {
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...env, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const status = await child.exited;
  // A runtime that is a script may have left a child that holds its pipes: that must not hold us.
  const [stdout, stderr] = await Promise.race([
    said,
    Bun.sleep(OUTPUT_PATIENCE_MS).then(() => ["", "its output does not end"] as const),
  ]);
  if (status === 0) return stdout;
  const reason =
    stderr.trim() || (child.signalCode ? `killed by ${child.signalCode}` : `exit status ${status}`);
  throw new TugError("internal", `${program} ${args.find((word) => !word.startsWith("-")) ?? ""}: ${reason}`);
}

/**
 * `delete --force` of a container whose processes have ended. A program that cannot do it (it was replaced, its state is torn) is
 * not asked again: what it is needed for by then is its own state and the cgroups, and those the caller removes itself.
 */
export async function deleteCommand(
  program: string,
  globalArgs: readonly string[],
  id: string,
): Promise<void> {
  try {
    await runOciCommand(program, [...globalArgs, "delete", "--force", id]);
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
  }
}

/** `checkpoint` of the common command line. Its log stays in the image's directory, as CRIU's errors point there. */
export async function checkpointCommand(
  program: string,
  globalArgs: readonly string[],
  task: OciTask,
  options: { readonly image: string; readonly leaveRunning: boolean },
): Promise<void> {
  const { id } = task;
  const args = [
    ...[...globalArgs, "checkpoint", "--image-path", options.image, "--work-path", options.image],
    ...(options.leaveRunning ? ["--leave-running"] : []),
    id,
  ];
  try {
    await runOciCommand(program, args, undefined, criuEnvironment(task.bundle));
  } catch (error) {
    if (error instanceof TugError && /unknown command|not supported|built without/i.test(error.message)) {
      const way = "run the container with a runtime that has it (--runtime runc) to checkpoint it";
      const text = `Cannot checkpoint container ${id}: ${program} was built without CRIU: ${way}`;
      throw new TugError("not-implemented", text, { cause: error });
    }
    if (error instanceof TugError && /criu.*(?:not found|no such file)/i.test(error.message)) {
      const text = `Cannot checkpoint container ${id}: CRIU is not installed on this host`;
      throw new TugError("not-implemented", text, { cause: error });
    }
    const reason = criuReason(options.image, "dump.log");
    if (reason === "") throw error;
    throw internal(`Cannot checkpoint container ${id}: criu: ${reason}`, error);
  }
}
