import { dieWithParent } from "../base/sys/process/parent-death.ts";
import { serveBuildFiles } from "../build/run/file/program.ts";

const SIGKILL = 9;

/**
 * Does one thing with trees of a build (see build/run/file/protocol.ts): the request on standard input, the reply on standard output.
 * `args`: the pid of the daemon, without which nobody reads the answer.
 */
export function buildFiles(args: readonly string[]): Promise<number> {
  dieWithParent(SIGKILL, Number(args[0]));
  process.umask(0);
  return serveBuildFiles(0, 1);
}
