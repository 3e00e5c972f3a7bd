import { codeOf, messageOf } from "../base/lib/errors.ts";
import { bootstrapTree } from "../core/image/bootstrap/program.ts";
import type { BootstrapReport, BootstrapRequest } from "../core/image/bootstrap/protocol.ts";

/**
 * Makes a root file system from a distributor's packages: the request on standard input, the layer on standard output, reports on
 * standard error. Runs in mount and pid namespaces of its own, which end with it.
 */
export async function bootstrap(): Promise<number> {
  process.umask(0o022);
  const report = (line: BootstrapReport) => void process.stderr.write(`${JSON.stringify(line)}\n`);
  try {
    const request = (await Bun.stdin.json()) as BootstrapRequest;
    const out = Bun.stdout.writer();
    await bootstrapTree(request, report, async (chunk) => {
      out.write(chunk);
      await out.flush();
    });
    await out.end();
    report({ kind: "done" });
    return 0;
  } catch (error) {
    report({ kind: "failed", code: codeOf(error), message: messageOf(error) });
    return 1;
  }
}
