import { internal, TugError } from "../../lib/errors.ts";

/** Daemons are started with a short PATH; tools of file systems live in sbin. */
export const hostPath = () => `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
const environment = () => ({ ...process.env, LC_ALL: "C", PATH: hostPath() });

/** Runs a program of the host and returns what it printed. Throws resource-exhausted on a full disk, else internal with the program's words. */
export async function hostProgram(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "pipe"], env: environment() });
  const [code, output, errors] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code === 0) return output;
  throw failure(command, errors);
}

/** The same where nobody can wait: some milliseconds. */
export function hostProgramSync(command: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { env: environment() });
  if (exitCode === 0) return stdout.toString();
  throw failure(command, stderr.toString());
}

function failure(command: readonly string[], text: string): TugError {
  if (/No space left|Disk quota exceeded|out of space/.test(text))
    return new TugError("resource-exhausted", "no space left on device");
  return internal(`${command.slice(0, 2).join(" ")}: ${text.trim().split("\n")[0] ?? ""}`);
}
