import { dieWithParent } from "../base/sys/process/parent-death.ts";
import { serveFiles } from "../core/files/program.ts";

const SIGKILL = 9;

/**
 * Does one thing with a container's files: requests on standard input, replies and data on standard output (see
 * core/files/protocol.ts). `args`: the pid of the daemon, without which nobody reads the answer.
 */
export function files(args: readonly string[]): Promise<number> {
  dieWithParent(SIGKILL, Number(args[0]));
  process.umask(0);
  return serveFiles(0, 1);
}
