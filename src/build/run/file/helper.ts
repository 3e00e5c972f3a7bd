import { internal, TugError } from "../../../base/lib/errors.ts";
import { type HelperProcess, startHelper } from "../../../base/sys/process/start-helper.ts";
import { type BuildFilesReply, type BuildFilesRequest, buildFilesHelper } from "./protocol.ts";

export interface BuildFilesHelperDeps {
  /** Command that a helper's name is appended to. */
  readonly helperCommand: readonly string[];
}

export type Done = BuildFilesReply & { readonly kind: "done" };

/** A source of a copy that is not there; `path` as the context has it ("/x"). */
export class MissingSource extends TugError {
  readonly path: string;
  constructor(path: string, message: string) {
    super("not-found", message);
    this.path = path;
  }
}

/** A spare helper is not kept for longer than builds come one after the other. */
const spareMilliseconds = 20_000;

/**
 * The daemon's side: each request is a process of its own. Most of a small request is the start of that process, so one more is started
 * with each and waits for the next request; it ends when none comes.
 */
export class BuildFilesHelper implements AsyncDisposable {
  readonly #command: readonly string[];
  #spare: HelperProcess | undefined;
  #ending: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(deps: BuildFilesHelperDeps) {
    this.#command = [...deps.helperCommand, buildFilesHelper, String(process.pid)];
  }

  /** Starts the spare: a build has begun. */
  warm(): void {
    if (this.#closed) return;
    clearTimeout(this.#ending);
    this.#ending = setTimeout(() => void this.#dropSpare(), spareMilliseconds);
    this.#ending.unref();
    try {
      this.#spare ??= this.#start();
    } catch {
      // No process can be started just now: the next request tries itself, and says why it cannot.
    }
  }

  /** Throws what the helper failed with; the signal's reason when that ended it. */
  async run(request: BuildFilesRequest, signal: AbortSignal): Promise<Done> {
    signal.throwIfAborted();
    const child = this.#take();
    const kill = () => child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });
    try {
      const complaint = child.stderr.text();
      const answer = child.stdout.text();
      try {
        child.stdin.write(JSON.stringify(request));
        await child.stdin.end();
      } catch {
        // It died before it read the request: its silence is told below.
      }
      // The next step's helper starts while this one works.
      this.warm();
      const text = await answer;
      await child.exited;
      signal.throwIfAborted();
      // What was cut short is no answer either.
      if (text === "" || child.signalCode !== null) {
        const how = child.signalCode ?? `exit code ${child.exitCode}`;
        throw internal(
          `the build's files helper ended with ${how}: ${(await complaint).trim().slice(-2000)}`,
        );
      }
      // Only our own helper writes here.
      return accept(JSON.parse(text) as BuildFilesReply);
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#ending);
    await this.#dropSpare();
  }

  #take(): HelperProcess {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare && spare.exitCode === null && spare.signalCode === null) return spare;
    return this.#start();
  }

  #start(): HelperProcess {
    return startHelper(this.#command);
  }

  async #dropSpare(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    if (!spare) return;
    spare.kill("SIGKILL");
    await spare.exited;
  }
}

function accept(reply: BuildFilesReply): Done {
  if (reply.kind === "done") return reply;
  if (reply.missing !== undefined) throw new MissingSource(reply.missing, reply.message);
  throw new TugError(reply.code, reply.message);
}
