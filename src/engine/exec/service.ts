import { causeOf, conflict, invalid, messageOf, TugError } from "../../base/lib/errors.ts";
import { type ExecId, randomId } from "../../base/lib/ids.ts";
import type { ExecCreateRequest } from "../../base/spec/docker/requests.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import type { TaskExit } from "../../core/runtime/runtime.ts";
import { lookupUser } from "../../core/runtime/user.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { SIGKILL } from "../containers/signals.ts";
import type { StreamClient } from "../streams/client.ts";
import { pump } from "../streams/pump.ts";
import { CappedOutput } from "./capped-output.ts";
import type { ExecNote, ExecRecord } from "./exec-record.ts";
import { describeExec } from "./inspect.ts";
import { type ExecProcessDeps, execProcess } from "./process.ts";
import { recoverExecs } from "./recover.ts";
import { ExecTable } from "./table.ts";

/** Processes run in a container that runs already. */
export class ExecService {
  readonly #deps: ExecProcessDeps;
  readonly #execs: ExecTable;

  constructor(deps: ExecProcessDeps) {
    this.#deps = deps;
    this.#execs = new ExecTable(deps.containers);
  }

  async createExec(reference: string, request: ExecCreateRequest): Promise<{ readonly Id: string }> {
    return { Id: this.#create(reference, request, { own: false }).id };
  }

  #create(reference: string, request: ExecCreateRequest, options: { readonly own: boolean }): ExecRecord {
    const { containers } = this.#deps;
    const record = runningContainer(containers, reference);
    if (!request.Cmd || request.Cmd.length === 0) throw invalid("No exec command specified");
    for (const entry of request.Env ?? []) {
      if (entry === "" || entry.startsWith("=")) throw invalid(`invalid environment variable: ${entry}`);
    }
    // Here already, as Docker does: once the stream has begun, a refusal can only be printed into it.
    if (request.User) {
      using root = RootedDir.open(containers.paths.rootfs(record.id));
      lookupUser(root, request.User, record.definition.host.GroupAdd ?? []);
    }
    this.#execs.sweep();
    const id = randomId() as ExecId;
    const exec = this.#execs.add(record, id, { request, own: options.own });
    emitContainer(containers, record, `exec_create: ${spelled(request)}`, { execID: id });
    return exec;
  }

  /**
   * Answers for the execs that the daemon before this one started: those that run are watched over, the exits of the others are
   * told of and their files removed. Comes before the containers' own recovery, which takes the files along.
   */
  async recover(): Promise<void> {
    const { containers } = this.#deps;
    const exited = (exit: TaskExit) => void this.handleExit(exit);
    await recoverExecs({ containers, execs: this.#execs, exited });
  }

  async startExec(
    execId: string,
    options: {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize: readonly [number, number] | undefined;
      /** Called when the command's process is there to be signalled. */
      readonly running?: () => void;
    },
    client: StreamClient | undefined,
  ): Promise<void> {
    const { containers } = this.#deps;
    const exec = this.#execs.get(execId);
    if (exec.state === "running" || exec.state === "starting") {
      throw conflict(`exec command ${execId} is already running`);
    }
    if (exec.state === "ended") throw conflict(`exec command ${execId} has already run`);
    const record = runningContainer(containers, exec.containerId);
    const attached = options.detach ? undefined : client;
    attached?.begin({ tty: exec.request.Tty ?? false });
    exec.state = "starting";
    try {
      await this.#run(record, exec, options, attached);
    } catch (error) {
      // What runs, although its client had bad luck, ends by itself.
      if (isStarting(exec)) this.#failed(exec, error);
      if (!attached || attached.signal.aborted) throw error;
      // The reply has begun: as in Docker, what went wrong is output.
      await attached.write("stdout", new TextEncoder().encode(`${messageOf(error)}\r\n`));
    }
  }

  async #run(
    record: ContainerRecord,
    exec: ExecRecord,
    options: {
      readonly consoleSize: readonly [number, number] | undefined;
      readonly running?: () => void;
    },
    client: StreamClient | undefined,
  ): Promise<void> {
    const { containers } = this.#deps;
    const tty = exec.request.Tty ?? false;
    const process = await execProcess(this.#deps, record, exec.request, options.consoleSize);
    emitContainer(containers, record, `exec_start: ${spelled(exec.request)}`, {
      execID: exec.id,
    });
    const running = await containers.runtime.exec({
      id: exec.id,
      containerId: exec.containerId,
      dirs: exec.dirs,
      process,
      tty,
      openStdin: client !== undefined && (exec.request.AttachStdin ?? false),
      note: JSON.stringify({ request: exec.request, own: exec.own } satisfies ExecNote),
      attach: client !== undefined,
    });
    exec.pid = running.pid;
    // The exit may have been reported already.
    if (exec.state === "starting") exec.state = "running";
    options.running?.();
    if (!client || !running.streams) return;
    const outcome = await pump(running.streams, client, {
      stdout: exec.request.AttachStdout ?? false,
      stderr: exec.request.AttachStderr ?? false,
      stdin: exec.request.AttachStdin ?? false,
      closeStdin: !tty,
      detachKeys: tty ? exec.detachKeys : undefined,
    });
    if (outcome === "detached") emitContainer(containers, record, "exec_detach", { execID: exec.id });
    // Clients ask for the exit code as soon as the stream ends.
    if (outcome === "ended") await exec.ended.promise;
  }

  /** Runs a command to its end for the engine itself (health checks): output together, cut at `outputLimit`. */
  async probe(
    record: ContainerRecord,
    command: readonly string[],
    options: { readonly timeoutMs: number; readonly outputLimit: number; readonly signal: AbortSignal },
  ): Promise<{ readonly exitCode: number; readonly output: string; readonly timedOut: boolean }> {
    const { containers } = this.#deps;
    const request = { Cmd: command, AttachStdout: true, AttachStderr: true };
    const exec = this.#create(record.id, request, { own: true });
    const output = new CappedOutput(options.outputLimit);
    const timer = AbortSignal.any([AbortSignal.timeout(options.timeoutMs), options.signal]);
    const kill = () => {
      containers.runtime
        .kill(exec.id, SIGKILL)
        .catch((error: unknown) =>
          containers.log.debug("ending a health check", { id: exec.id, error: messageOf(error) }),
        );
    };
    // A time that is over before the process is there finds nothing to kill.
    const running = () => {
      if (timer.aborted) kill();
      else timer.addEventListener("abort", kill, { once: true });
    };
    try {
      await this.startExec(exec.id, { detach: false, tty: false, consoleSize: undefined, running }, output);
    } finally {
      timer.removeEventListener("abort", kill);
      this.#execs.forget(exec);
    }
    return { exitCode: exec.exitCode ?? -1, output: output.text(), timedOut: timer.aborted };
  }

  async resizeExec(execId: string, rows: number, columns: number): Promise<void> {
    const exec = this.#execs.get(execId);
    if (exec.state !== "running") throw conflict(`exec process ${execId} is not running`);
    await this.#deps.containers.runtime.resize(exec.dirs, { rows, columns });
  }

  async inspectExec(execId: string) {
    return describeExec(this.#execs.get(execId));
  }

  /** True when the exit was that of an exec. */
  handleExit(exit: TaskExit): boolean {
    const exec = this.#execs.find(exit.id);
    if (!exec) return false;
    // Who waits for it goes on in a later tick: the event is told of by then.
    this.#execs.end(exec, exit.exitCode);
    const record = this.#deps.containers.store.get(exec.containerId);
    if (record) {
      emitContainer(this.#deps.containers, record, "exec_die", {
        execID: exec.id,
        exitCode: String(exit.exitCode),
      });
    }
    return true;
  }

  /** The container is gone or stopped: execs that have not begun never will. */
  containerRemoved(containerId: string): void {
    this.#execs.containerRemoved(containerId);
  }

  #failed(exec: ExecRecord, error: unknown): void {
    const cause = causeOf(error);
    this.#execs.end(exec, cause instanceof TugError ? (cause.detail.exitCode ?? 126) : 126);
  }
}

/** As events spell a command: with a space after the program, arguments or not. */
function spelled(request: ExecCreateRequest): string {
  const [program = "", ...args] = request.Cmd ?? [];
  return `${program} ${args.join(" ")}`;
}

/** Asked anew: an exec's state moves on while others wait. */
function isStarting(exec: ExecRecord): boolean {
  return exec.state === "starting";
}

function runningContainer(containers: ContainerContext, reference: string): ContainerRecord {
  const record = containers.store.resolve(reference);
  if (record.state.status === "paused") {
    throw conflict(`Container ${reference} is paused, unpause the container before exec`);
  }
  if (record.state.status === "restarting") {
    throw conflict(`Container ${record.id} is restarting, wait until the container is running`);
  }
  if (!isAlive(record)) throw conflict(`container ${record.id} is not running`);
  return record;
}
