import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TugError } from "../../../../base/lib/errors.ts";
import { criuEnvironment } from "../../criu-environment.ts";
import type { OciCommand } from "../../oci.ts";
import { commandInScope, type Scope } from "../../scope.ts";
import { firstLookDone } from "./first-look.ts";
import { RuntimeOutput } from "./runtime-output.ts";
import { SyncPipe } from "./sync-pipe.ts";

/** What one conmon watches over. */
export interface MonitorOptions {
  readonly conmon: string;
  /** The runtime's name, for errors, and how it is started. */
  readonly runtime: string;
  readonly command: OciCommand;
  /** The container that the runtime is asked about. */
  readonly container: string;
  /** The monitor's own name: the container's id, or the exec's. */
  readonly task: string;
  /** conmon's bundle and working directory: the socket, the fifos, the pid, exit and oom files come to lie here. */
  readonly directory: string;
  /** systemd's scope that it is to begin, and live in beside the container. */
  readonly scope?: Scope | undefined;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Stdin survives the end of the attached client that wrote it. */
  readonly keepStdin: boolean;
  readonly log: readonly string[];
  /** For an exec: its process.json, and what to do between the opening of the attach socket and the start. */
  readonly exec?: { readonly processFile: string; readonly beforeStart?: () => Promise<void> };
  /** For a restore: the checkpoint. */
  readonly restore?: { readonly image: string; readonly options: readonly string[] };
  readonly timeoutMs: number;
}

/** The outcome: a pid, or the runtime's complaint. */
export type MonitorResult =
  | { readonly pid: number; readonly monitorPid: number }
  | { readonly failure: string; readonly status: number };

const WITHOUT_A_WORD = "the monitor ended without a word";

/** Whether this may be the failure of a conmon that missed the terminal (see `firstLookDone`). Up to 2.1.6 it says nothing then. */
export function missedTerminal(failure: string): boolean {
  return [WITHOUT_A_WORD, "Runtime did not set up terminal"].includes(failure);
}

/**
 * Starts a conmon and waits until it says the pid of what it started; after a throw it may still be at work (`endProcesses` ends it). conmon
 * forks once, so that it belongs to init in a session of its own and outlives us; it gets no descriptor but its pipes, for all of ours are
 * close-on-exec.
 */
export async function startMonitor(options: MonitorOptions): Promise<MonitorResult> {
  using sync = new SyncPipe();
  const attached = options.exec?.beforeStart;
  using attach = attached ? new SyncPipe() : undefined;
  using start = attached ? new SyncPipe() : undefined;
  const pipes = [sync, attach, start].filter((pipe) => pipe !== undefined);
  const command = [options.conmon, ...conmonArgs(options)];
  const child = Bun.spawn(options.scope ? commandInScope(options.scope, command) : command, {
    cwd: options.directory,
    stdio: ["ignore", "ignore", "pipe", ...pipes.map((pipe) => pipe.theirs)],
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      // The console socket's place: not /tmp, where conmon leaves it behind when the runtime fails. Relative, because a unix
      // socket's path is short; conmon and the runtime both work in this directory.
      TMPDIR: ".",
      ...(options.restore ? criuEnvironment(options.directory) : {}),
      _OCI_SYNCPIPE: "3",
      ...(attached ? { _OCI_ATTACHPIPE: "4", _OCI_STARTPIPE: "5" } : {}),
    },
  });
  const complaint = new Response(child.stderr).text();
  for (const pipe of pipes) await pipe.open();
  start?.signal();
  using output = new RuntimeOutput(options.directory);

  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new TugError("internal", `OCI runtime ${options.runtime} did not answer in time`)),
    options.timeoutMs,
  );
  try {
    if (attach && attached) {
      const ready = await Promise.race([attach.next(), late]);
      if (ready) {
        await attached();
        if (options.tty) await firstLookDone(options.directory);
        start?.signal();
      }
    }
    const message = await Promise.race([sync.next(), late]);
    await child.exited;
    if (message && message.data >= 0)
      return { pid: message.data, monitorPid: await monitorPidIn(options.directory) };
    // A runtime that hangs on may hold the pipe open.
    const failure =
      output.lastWords() ||
      message?.message ||
      (await Promise.race([complaint, Bun.sleep(1000).then(() => "")])) ||
      WITHOUT_A_WORD;
    return { failure: failure.trim(), status: message ? -message.data : 1 };
  } finally {
    clearTimeout(timer);
  }
}

/** conmon's parent half writes this file before it exits. */
async function monitorPidIn(directory: string): Promise<number> {
  return Number(await readFile(join(directory, "monitor.pid"), "utf8"));
}

function conmonArgs(options: MonitorOptions): string[] {
  const { directory, command, exec, restore } = options;
  return [
    ...["--api-version", "1", "-c", options.container, "-u", options.task, "-n", options.task],
    ...["-b", directory, "--full-attach", "-r", command.program],
    ...command.args.flatMap((argument) => ["--runtime-arg", argument]),
    ...["-p", join(directory, "pid"), "-P", join(directory, "monitor.pid"), "--persist-dir", directory],
    ...options.log,
    "--no-sync-log",
    ...(options.tty ? ["-t"] : []),
    ...(options.stdin ? ["-i"] : []),
    ...(options.keepStdin ? ["--leave-stdin-open"] : []),
    ...(exec ? ["-e", "--exec-process-spec", exec.processFile] : []),
    ...(exec?.beforeStart ? ["--exec-attach"] : []),
    ...(restore ? ["--restore", restore.image] : []),
    ...(restore?.options ?? []).flatMap((option) => ["--runtime-opt", option]),
  ];
}
