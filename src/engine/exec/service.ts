import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseDetachKeys } from "../../base/lib/detach-keys.ts";
import { causeOf, conflict, invalid, messageOf, notFound, TugError } from "../../base/lib/errors.ts";
import { type ExecId, randomId } from "../../base/lib/ids.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import type { OciSpec, TaskDirs, TaskExit } from "../../core/runtime/runtime.ts";
import type { GenerateExecProcess } from "../../core/runtime/spec.ts";
import { lookupUser } from "../../core/runtime/user.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { SIGKILL } from "../containers/signals.ts";
import type { StreamClient } from "../streams/client.ts";
import { pump } from "../streams/pump.ts";
import { CappedOutput } from "./capped-output.ts";
import type { ExecRecord, ExecRequest } from "./exec-record.ts";

export interface ExecServiceDeps {
  readonly containers: ContainerContext;
  readonly generate: GenerateExecProcess;
  /** The spec a container was created with. */
  readonly specOf: (record: ContainerRecord) => Promise<OciSpec>;
}

/** What the next daemon must know of an exec. */
interface ExecNote {
  readonly request: ExecRequest;
  readonly own: boolean;
}

/** An ended exec can be inspected this long; Docker keeps them until its next sweep, five minutes. */
const keepEnded = 5n * 60_000_000_000n;

/** Processes run in a container that runs already. */
export class ExecService {
  readonly #deps: ExecServiceDeps;
  readonly #execs = new Map<string, ExecRecord>();

  constructor(deps: ExecServiceDeps) {
    this.#deps = deps;
  }

  async createExec(reference: string, request: ExecRequest): Promise<{ readonly Id: string }> {
    return { Id: this.#create(reference, request, { own: false }).id };
  }

  #create(reference: string, request: ExecRequest, options: { readonly own: boolean }): ExecRecord {
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
    this.#sweep();
    const id = randomId() as ExecId;
    const exec = this.#add(record, id, { request, own: options.own });
    emitContainer(containers, record, `exec_create: ${spelled(request)}`, { execID: id });
    return exec;
  }

  #add(record: ContainerRecord, id: ExecId, { request, own }: ExecNote): ExecRecord {
    const { containers } = this.#deps;
    const ended = Promise.withResolvers<number>();
    const exec: ExecRecord = {
      id,
      containerId: record.id,
      request,
      detachKeys: parseDetachKeys(request.DetachKeys),
      dirs: execDirs(containers, record, id),
      own,
      state: "created",
      pid: 0,
      exitCode: null,
      ended,
      endedAt: 0n,
    };
    this.#execs.set(id, exec);
    containers.live.of(record.id).execIds.add(id);
    return exec;
  }

  /**
   * Answers for the execs that the daemon before this one started: those that run are watched over, the exits of the others are
   * told of and their files removed. Comes before the containers' own recovery, which takes the files along.
   */
  async recover(): Promise<void> {
    const { containers } = this.#deps;
    for (const record of [...containers.store.list()]) {
      const directory = join(containers.paths.task(record.id).state, "exec");
      // Most have none.
      const ids = await readdir(directory).catch(() => []);
      for (const id of ids) {
        await this.#adopt(record, id as ExecId).catch((error: unknown) =>
          containers.log.error("could not recover an exec", { id, error }),
        );
      }
    }
  }

  async #adopt(record: ContainerRecord, id: ExecId): Promise<void> {
    const { runtime, clock } = this.#deps.containers;
    const dirs = execDirs(this.#deps.containers, record, id);
    const { note, ...seen } = await runtime.observe(id, dirs);
    const known = note === undefined ? undefined : (JSON.parse(note) as ExecNote);
    if (!known || known.own) {
      await runtime.delete(id, { force: true });
      await removeDirectory(dirs.state);
      return;
    }
    const exec = this.#add(record, id, known);
    exec.state = "running";
    if (seen.status === "running") {
      exec.pid = seen.pid;
      return;
    }
    // As for a task whose monitor died: nobody knows how it ended.
    const unknown = { exitCode: 255, at: BigInt(clock.now()) * 1_000_000n, oomKilled: false };
    this.handleExit({ id, ...(seen.status === "exited" ? seen : unknown) });
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
    const exec = this.#get(execId);
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
    const process = await this.#process(record, exec, options.consoleSize);
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
      this.#forget(exec);
    }
    return { exitCode: exec.exitCode ?? -1, output: output.text(), timedOut: timer.aborted };
  }

  /** What still runs is forgotten after its exit, which sees to its files. */
  #forget(exec: ExecRecord): void {
    if (exec.state === "running") return;
    this.#execs.delete(exec.id);
    this.#deps.containers.live.peek(exec.containerId)?.execIds.delete(exec.id);
  }

  async resizeExec(execId: string, rows: number, columns: number): Promise<void> {
    const exec = this.#get(execId);
    if (exec.state !== "running") throw conflict(`exec process ${execId} is not running`);
    await this.#deps.containers.runtime.resize(exec.dirs, { rows, columns });
  }

  async inspectExec(execId: string) {
    const exec = this.#get(execId);
    const { request } = exec;
    const [entrypoint = "", ...rest] = request.Cmd ?? [];
    return {
      ID: exec.id,
      Running: exec.state === "running",
      ExitCode: exec.exitCode,
      ProcessConfig: {
        tty: request.Tty ?? false,
        entrypoint,
        arguments: [...rest],
        privileged: request.Privileged ?? false,
        ...(request.User ? { user: request.User } : {}),
      },
      OpenStdin: request.AttachStdin ?? false,
      OpenStderr: request.AttachStderr ?? false,
      OpenStdout: request.AttachStdout ?? false,
      CanRemove: false,
      ContainerID: exec.containerId,
      DetachKeys: request.DetachKeys ?? "",
      Pid: exec.state === "running" ? exec.pid : 0,
    };
  }

  /** True when the exit was that of an exec. */
  handleExit(exit: TaskExit): boolean {
    const exec = this.#execs.get(exit.id);
    if (!exec) return false;
    exec.state = "ended";
    exec.exitCode = exit.exitCode;
    exec.endedAt = this.#deps.containers.clock.monotonic();
    const record = this.#deps.containers.store.get(exec.containerId);
    if (record) {
      emitContainer(this.#deps.containers, record, "exec_die", {
        execID: exec.id,
        exitCode: String(exit.exitCode),
      });
    }
    exec.ended.resolve(exit.exitCode);
    this.#clean(exec);
    return true;
  }

  /** The container is gone or stopped: execs that have not begun never will. */
  containerRemoved(containerId: string): void {
    for (const exec of this.#execs.values()) {
      if (exec.containerId === containerId && exec.state !== "running") this.#execs.delete(exec.id);
    }
  }

  #clean(exec: ExecRecord): void {
    const { containers } = this.#deps;
    containers.live.peek(exec.containerId)?.execIds.delete(exec.id);
    containers.runtime
      .delete(exec.id, { force: true })
      .then(() => removeDirectory(exec.dirs.state))
      .catch((error: unknown) =>
        containers.log.warn("cleaning up after an exec", { id: exec.id, error: messageOf(error) }),
      );
  }

  #failed(exec: ExecRecord, error: unknown): void {
    const cause = causeOf(error);
    exec.state = "ended";
    exec.exitCode = cause instanceof TugError ? (cause.detail.exitCode ?? 126) : 126;
    exec.endedAt = this.#deps.containers.clock.monotonic();
    exec.ended.resolve(exec.exitCode);
    this.#clean(exec);
  }

  #get(execId: string): ExecRecord {
    const exec = this.#execs.get(execId);
    if (!exec) throw notFound(`No such exec instance: ${execId}`);
    return exec;
  }

  /** Forgets execs that ended long ago, and those never started of containers that are gone. */
  #sweep(): void {
    const { clock, store } = this.#deps.containers;
    for (const exec of this.#execs.values()) {
      const old = exec.state === "ended" && clock.monotonic() - exec.endedAt > keepEnded;
      if (old || !store.get(exec.containerId)) this.#execs.delete(exec.id);
    }
  }

  async #process(
    record: ContainerRecord,
    exec: ExecRecord,
    consoleSize: readonly [number, number] | undefined,
  ) {
    const { containers, generate, specOf } = this.#deps;
    const { request } = exec;
    const container = await specOf(record);
    const { config, host } = record.definition;
    const user = request.User || config.User || "";
    const size = consoleSize ?? request.ConsoleSize ?? undefined;
    using root = RootedDir.open(containers.paths.rootfs(record.id));
    const found = lookupUser(root, user, host.GroupAdd ?? []);
    return generate({
      container,
      args: request.Cmd ?? [],
      env: execEnv(container, request, found.home),
      cwd: request.WorkingDir || undefined,
      tty: request.Tty ?? false,
      user: { uid: found.uid, gid: found.gid, additionalGids: found.additionalGids },
      privileged: request.Privileged ?? false,
      kernel: containers.facts,
      ...(size ? { consoleSize: size } : {}),
    });
  }
}

function execDirs(containers: ContainerContext, record: ContainerRecord, id: ExecId): TaskDirs {
  const task = containers.paths.task(record.id);
  return { bundle: task.bundle, state: join(task.state, "exec", id) };
}

/** As events spell a command: with a space after the program, arguments or not. */
function spelled(request: ExecRequest): string {
  const [program = "", ...args] = request.Cmd ?? [];
  return `${program} ${args.join(" ")}`;
}

/** The container's environment under the request's; HOME follows another user. */
function execEnv(container: OciSpec, request: ExecRequest, home: string): readonly string[] {
  const env = new Map<string, string>();
  const put = (entry: string) => {
    const at = entry.indexOf("=");
    if (at < 0) env.delete(entry);
    else env.set(entry.slice(0, at), entry);
  };
  for (const entry of container.process?.env ?? []) put(entry);
  if (request.User) env.set("HOME", `HOME=${home}`);
  if (request.Tty && !env.has("TERM")) env.set("TERM", "TERM=xterm");
  for (const entry of request.Env ?? []) put(entry);
  return [...env.values()];
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
