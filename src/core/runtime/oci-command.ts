import { TugError } from "../../base/lib/errors.ts";

/** A runtime's command ends in this time or is taken for hung. */
const TIMEOUT_MS = 60_000;

/** Runs one command of an OCI runtime; throws `internal` with its complaint when it fails. Returns its stdout. */
export async function runOciCommand(
  program: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const child = Bun.spawn([program, ...args], {
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status === 0) return stdout;
  const reason =
    stderr.trim() || (child.signalCode ? `killed by ${child.signalCode}` : `exit status ${status}`);
  throw new TugError("internal", `${program} ${args.find((word) => !word.startsWith("-")) ?? ""}: ${reason}`);
}
