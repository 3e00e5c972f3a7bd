import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { internal } from "../../../base/lib/errors.ts";
import { type CgroupPaths, cgroupPids, killCgroup, oomKills } from "../../../base/sys/cgroup/cgroup.ts";
import { OomEvents } from "../../../base/sys/cgroup/oom-events.ts";
import { Pipe } from "../../../base/sys/pipe.ts";
import { complaintOf } from "../../../core/runtime/start-failure.ts";

export interface StepProcess {
  /** The runtime's whole command line; its log goes to `runtimeLog(directory)`. */
  readonly command: readonly string[];
  readonly directory: string;
  /** All of the step's; they are removed afterwards, whatever became of it. */
  readonly cgroups: CgroupPaths;
  readonly signal: AbortSignal;
  /** What the program reads; absent: nothing. */
  readonly input?: AsyncIterable<Uint8Array>;
  /** The next piece is read when it has resolved. */
  readonly output: (stream: "stdout" | "stderr", bytes: Uint8Array) => void | Promise<void>;
}

export interface StepEnd {
  readonly exitCode: number;
  /** Why the runtime could not start the step's program; undefined when it did. */
  readonly complaint: string | undefined;
  /** What came first on its standard error, if that was short: where some runtimes tell of a program that they could not start. */
  readonly firstWords: string;
  /** The kernel killed something of the step for want of memory. */
  readonly oomKilled: boolean;
}

const SIGKILL = 9;
/** Between two looks whether everything is dead. A killed process ends when it next runs, unless a disk or a server holds it. */
const LOOK_MS = 5;
/** The runtime is given so long to clean up after its container before it is killed too. */
const CLEANUP_MS = 1000;
const PATIENCE_MS = 30_000;
/** A runtime that failed says so and ends; so long the first words on stderr wait at most to be known for the step's own. */
const COMPLAINT_MS = 10_000;
const COMPLAINT_LIMIT = 4096;

/** Arguments with which a runtime writes down what it says itself, apart from what the container says. */
export function runtimeLog(directory: string): { readonly path: string; readonly args: readonly string[] } {
  const path = join(directory, "log.json");
  return { path, args: [`--log=${path}`, "--log-format=json"] };
}

/**
 * Runs a step's container in the foreground. Returns when it has ended, everything it said was handed on, and none of its processes is
 * left; on abort all are killed at once and the signal's reason is thrown then.
 */
export async function runStepProcess(step: StepProcess): Promise<StepEnd> {
  step.signal.throwIfAborted();
  using events = OomEvents.open(step.cgroups);
  using stdin = new Pipe();
  using stdout = new Pipe();
  using stderr = new Pipe();
  stdin.closeWrite();
  const [program = "", ...args] = step.command;
  const child = Bun.spawn([program, ...args], {
    cwd: step.directory,
    stdio: [step.input ? "pipe" : stdin.read, stdout.write, stderr.write],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  if (step.input && child.stdin && typeof child.stdin !== "number") feed(child.stdin, step.input);
  for (const pipe of [stdout, stderr]) pipe.closeWrite();
  let ended = false;
  const oom = { killed: false };
  const look = () => {
    oom.killed ||= oomKills(step.cgroups) > 0 || events?.look() === true;
  };
  const failing = new AbortController();
  const stop = AbortSignal.any([step.signal, failing.signal]);
  const killed = killOnAbort(step, child, stop, () => ended);
  try {
    const words = { first: "" };
    const said = [relay(step, stdout, child), relay(step, stderr, child, words)].map((one) =>
      // Its streams end with a container, before the runtime takes the cgroup away with what it counted.
      one.then(look).catch((error: unknown) => {
        failing.abort(error);
        throw error;
      }),
    );
    const [exitCode, ...rest] = await Promise.race([
      Promise.allSettled([child.exited, ...said]),
      killed.stuck,
    ]);
    ended = true;
    step.signal.throwIfAborted();
    const failed = rest.find((one) => one.status === "rejected");
    if (failed) throw failed.reason;
    const code = exitCode.status === "fulfilled" ? exitCode.value : 255;
    look();
    if (code !== 0) oom.killed ||= (await events?.happened()) === true;
    const why = code === 0 ? undefined : complaint(step);
    return { exitCode: code, complaint: why, firstWords: words.first, oomKilled: oom.killed };
  } finally {
    killed.stop();
  }
}

/** Writes what comes, as fast as it is read. A program that reads no more, or has ended, is no failure of ours. */
function feed(stdin: Bun.FileSink, input: AsyncIterable<Uint8Array>): void {
  const write = async () => {
    for await (const bytes of input) {
      stdin.write(bytes);
      await stdin.flush();
    }
  };
  const end = async () => void (await stdin.end());
  write()
    .catch(() => undefined)
    .then(end)
    .catch(() => undefined);
}

/** Hands on one stream to its end: standard error, where its first words are asked for. */
async function relay(
  step: StepProcess,
  pipe: Pipe,
  child: Bun.Subprocess,
  words?: { first: string },
): Promise<void> {
  let first = words !== undefined;
  for await (const chunk of Bun.file(pipe.read).stream()) {
    // After an abort what still comes is read, so that nobody is held up, and dropped.
    if (step.signal.aborted) continue;
    const suspect = first && chunk.length < COMPLAINT_LIMIT;
    first = false;
    const init = suspect ? initComplaint(chunk) : undefined;
    if (suspect && words) words.first = init ?? Buffer.from(chunk).toString("utf8");
    if (suspect && init === undefined && (await isComplaint(step, chunk, child))) continue;
    await step.output(words ? "stderr" : "stdout", init === undefined ? chunk : Buffer.from(init));
  }
}

/**
 * What a container's init that could not execute its program says on the container's own standard error, as runc's words it: crun's says it in
 * the format of its log.
 */
function initComplaint(chunk: Uint8Array): string | undefined {
  const message = errorIn(Buffer.from(chunk).toString("utf8").trimEnd());
  const [, program, reason = ""] = /^exec container process `(.*)`: (.*)$/.exec(message ?? "") ?? [];
  return program === undefined ? undefined : `exec ${program}: ${reason.toLowerCase()}\n`;
}

/**
 * True for what a runtime that could not start the program says on the container's own standard error. It is told in better words. crun says it
 * before it writes it down, so what is said while no program runs waits for the runtime's end.
 */
async function isComplaint(step: StepProcess, chunk: Uint8Array, child: Bun.Subprocess): Promise<boolean> {
  const said = Buffer.from(chunk).toString("utf8");
  const same = () => {
    const logged = complaint(step);
    return logged !== undefined && said.includes(logged);
  };
  const runtimeEnded = child.exited.then(() => true);
  const end = performance.now() + COMPLAINT_MS;
  while (!same() && !programRuns(step, child) && performance.now() < end) {
    if (await Promise.race([runtimeEnded, Bun.sleep(LOOK_MS)])) break;
  }
  return same();
}

/** Whether a process of the step executes something else than its runtime. */
function programRuns(step: StepProcess, child: Bun.Subprocess): boolean {
  const runtime = executable(child.pid);
  return cgroupPids(step.cgroups).some((pid) => {
    const own = executable(pid);
    return own !== undefined && own !== runtime;
  });
}

/** Device and inode of what a process executes; "hidden" where that may not be looked at (ptrace(2)), undefined for one that has ended. */
function executable(pid: number): string | undefined {
  try {
    const { dev, ino } = statSync(`/proc/${pid}/exe`, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "ESRCH"].includes(code)) return undefined;
    if (["EACCES", "EPERM"].includes(code)) return "hidden";
    throw error;
  }
}

/** The last error in the runtime's log. */
function complaint(step: StepProcess): string | undefined {
  let text: string;
  try {
    text = readFileSync(runtimeLog(step.directory).path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const errors = text.split("\n").flatMap((line) => errorIn(line) ?? []);
  const last = errors.at(-1);
  return last === undefined ? undefined : complaintOf(last);
}

function errorIn(line: string): string | undefined {
  if (line === "") return undefined;
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    return (level === "error" || level === "fatal") && typeof msg === "string" ? msg : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // torn
    throw error;
  }
}

/**
 * Kills the cgroup again and again until the step has ended: a runtime that is still making the container may yet put something in it.
 * `stuck` rejects when that does not help.
 */
function killOnAbort(
  step: StepProcess,
  child: Bun.Subprocess,
  signal: AbortSignal,
  ended: () => boolean,
): { readonly stuck: Promise<never>; stop(): void } {
  const { promise: stuck, reject } = Promise.withResolvers<never>();
  stuck.catch(() => undefined); // only who still waits wants to know
  const kill = async () => {
    const began = performance.now();
    while (!ended()) {
      const waited = performance.now() - began;
      const hit = killCgroup(step.cgroups, SIGKILL);
      if (hit === 0 || waited > CLEANUP_MS) child.kill(SIGKILL);
      if (waited > PATIENCE_MS)
        throw internal("a process of a build step does not end although it was killed");
      await Bun.sleep(LOOK_MS);
    }
  };
  const begin = () => void kill().catch(reject);
  if (signal.aborted) begin();
  else signal.addEventListener("abort", begin, { once: true });
  return { stuck, stop: () => signal.removeEventListener("abort", begin) };
}
