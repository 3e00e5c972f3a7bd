import { TugError } from "../../base/lib/errors.ts";

/** A runtime's command ends in this time or is taken for hung. It may have hooks to run. */
const TIMEOUT_MS = 60_000;
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
