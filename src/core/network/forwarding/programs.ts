import { hostPath } from "../../../base/sys/process/host-program.ts";

/** Runs a program of the host on the network of the calling thread; `undefined` when it is not installed. */
export type RunProgram = (
  command: readonly string[],
  input?: string,
) => Promise<{ readonly ok: boolean; readonly output: string } | undefined>;

const patience = 10_000;

export const runProgram: RunProgram = async ([name = "", ...args], input) => {
  // Not its real path: iptables' programs are one file that looks at its name.
  const program = Bun.which(name, { PATH: hostPath() });
  if (!program) return undefined;
  const child = Bun.spawn([program, ...args], {
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C" },
    timeout: patience,
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return {
    ok: code === 0,
    output: code === 0 ? output : errors.trim() || output.trim() || `exit code ${code}`,
  };
};
