import { internal, TugError } from "../../base/lib/errors.ts";
import { criuEnvironment } from "./criu-environment.ts";
import { criuReason } from "./criu-log.ts";
import type { OciTask } from "./oci.ts";
import type { OciResources } from "./runtime.ts";

/** A runtime's command ends in this time or is taken for hung. It may have hooks to run. */
const TIMEOUT_MS = 60_000;
/** Limits are written in no time; lowering one of memory may have to reclaim some. */
const UPDATE_TIMEOUT_MS = 10_000;
/** The processes are gone by then. Shorter than anybody waits for a container that was killed. */
const DELETE_TIMEOUT_MS = 5000;
/** Writing out the memory of a large container takes its time. */
const CHECKPOINT_TIMEOUT_MS = 30 * 60_000;
const OUTPUT_PATIENCE_MS = 2000;
/** Of a program that prints without end so much is kept. */
const OUTPUT_LIMIT = 64 * 1024;
/** A program that printed so much is not going to end by itself. */
const FLOOD = 16 << 20;

export interface OciCommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Runs one command of an OCI runtime; throws `internal` with its complaint when it fails. Returns its stdout. */
export async function runOciCommand(
  program: string,
  args: readonly string[],
  { input, env, timeoutMs = TIMEOUT_MS }: OciCommandOptions = {},
): Promise<string> {
  const child = Bun.spawn([program, ...args], {
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...env, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  let flooded = false;
  const flood = () => {
    flooded = true;
    child.kill("SIGKILL");
  };
  const said = Promise.all([beginning(child.stdout, flood), beginning(child.stderr, flood)]);
  const status = await child.exited;
  // A runtime that is a script may have left a child that holds its pipes: that must not hold us.
  const [stdout, stderr] = await Promise.race([
    said,
    Bun.sleep(OUTPUT_PATIENCE_MS).then(() => ["", "its output does not end"] as const),
  ]);
  if (status === 0) return stdout;
  const end = child.signalCode ? `killed by ${child.signalCode}` : `exit status ${status}`;
  const reason = flooded ? "killed, as it printed without end" : stderr.trim() || end;
  throw new TugError("internal", `${program} ${args.find((word) => !word.startsWith("-")) ?? ""}: ${reason}`);
}

/** Reads to the end, so that nobody is held up, and keeps what comes first. Where no end is in sight it says so and reads no more. */
async function beginning(stream: ReadableStream<Uint8Array>, flood: () => void): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    if (length < OUTPUT_LIMIT) parts.push(part.slice(0, OUTPUT_LIMIT - length));
    length += part.length;
    if (length <= FLOOD) continue;
    flood();
    break;
  }
  return Buffer.concat(parts).toString("utf8");
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
    const options = { timeoutMs: DELETE_TIMEOUT_MS };
    await runOciCommand(program, [...globalArgs, "delete", "--force", id], options);
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
  }
}

/** `update` of the common command line; nothing to change is no command. */
export async function updateCommand(
  program: string,
  globalArgs: readonly string[],
  id: string,
  resources: OciResources,
): Promise<void> {
  if (Object.keys(resources).length === 0) return;
  const args = [...globalArgs, "update", "--resources", "-", id];
  await runOciCommand(program, args, { input: JSON.stringify(resources), timeoutMs: UPDATE_TIMEOUT_MS });
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
    const env = criuEnvironment(task.bundle);
    await runOciCommand(program, args, { env, timeoutMs: CHECKPOINT_TIMEOUT_MS });
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
