import { codeOf, messageOf } from "../base/lib/errors.ts";
import { confineWritesTo } from "../base/sys/landlock.ts";
import { dieWithParent } from "../base/sys/parent-death.ts";
import type { UnpackReport, UnpackRequest } from "../core/image/unpack/protocol.ts";
import { unpackLayer } from "../core/image/unpack/unpack-layer.ts";

/** At most this often a line of progress is written. */
const progressInterval = 100;

const SIGKILL = 9;

/**
 * Unpacks the layer that standard input describes; reports on standard output. Exit code 0 when it is whole and right.
 * `args`: the pid of the daemon, after whose death nobody wants the layer and its directory may go at any moment.
 */
export async function unpack(args: readonly string[]): Promise<number> {
  dieWithParent(SIGKILL, Number(args[0]));
  process.umask(0);
  const report = (line: UnpackReport) => void process.stdout.write(`${JSON.stringify(line)}\n`);
  try {
    const request = (await Bun.stdin.json()) as UnpackRequest;
    confineWritesTo(request.target.kind === "overlay" ? request.target.upper : request.target.tree);
    let last = 0;
    const layer = await unpackLayer(request, (bytes) => {
      const now = performance.now();
      if (now - last < progressInterval) return;
      last = now;
      report({ kind: "progress", bytes });
    });
    report({ kind: "done", ...layer });
    return 0;
  } catch (error) {
    report({ kind: "failed", code: codeOf(error), message: messageOf(error) });
    return 1;
  }
}
