import { DetachFilter, parseDetachKeys } from "../../base/lib/detach-keys.ts";
import type { Connection } from "../../client/http/connection.ts";
import { copyRaw, demultiplex } from "../../client/stream/frames.ts";
import type { Context } from "../context.ts";
import { followSize, type Resize } from "./terminal-size.ts";

export interface StreamOptions {
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Unless false it is shown. */
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** What detaches from a terminal's stream; undefined: Docker's keys. */
  readonly detachKeys: string | undefined;
  /** Tells the process the size of our terminal, if it has one itself. */
  readonly resize: Resize;
}

/** "detached" when the user typed the detach keys, otherwise the output's end. */
export type StreamEnd = "ended" | "detached";

/**
 * Joins a hijacked stream to standard input and output until the output ends. The end of standard input ends only our
 * direction: the process inside sees end-of-file and may go on writing.
 */
export async function joinStreams(
  context: Context,
  stream: Connection,
  options: StreamOptions,
): Promise<StreamEnd> {
  const raw = options.tty && options.stdin && context.in.isTerminal;
  const source = { next: () => stream.read() };
  const { out, err } = context;
  const stdout = options.stdout === false ? ignore : (chunk: Uint8Array) => out.write(chunk);
  const stderr = options.stderr === false ? ignore : (chunk: Uint8Array) => err.write(chunk);
  using _size = options.tty ? followSize(out, options.resize) : undefined;
  if (raw) context.in.setRaw(true);
  try {
    const copied = options.tty ? copyRaw(source, stdout) : demultiplex(source, { stdout, stderr });
    const output = copied.then(() => "ended" as const);
    if (!options.stdin) return await output;
    const input = copyInput(context, stream, options);
    const first = await Promise.race([output, input]);
    return first === "detached" ? "detached" : await output;
  } finally {
    if (raw) context.in.setRaw(false);
    stream.close();
  }
}

const ignore = () => undefined;

async function copyInput(
  context: Context,
  stream: Connection,
  options: StreamOptions,
): Promise<"input-ended" | "detached"> {
  const filter = options.tty ? new DetachFilter(parseDetachKeys(options.detachKeys ?? "")) : undefined;
  try {
    for await (const chunk of context.in.chunks()) {
      const { forward, detached } = filter?.feed(chunk) ?? { forward: chunk, detached: false };
      const wait = forward.length > 0 ? stream.write(forward) : undefined;
      if (wait) await wait;
      if (detached) return "detached";
    }
    stream.shutdown();
  } catch (error) {
    if (!stream.closed) throw error; // the process inside ended first: its output decides
  }
  return "input-ended";
}
