import { TugError } from "../../base/lib/errors.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";
import type { Context } from "../context.ts";
import { failureText } from "../exit.ts";

/**
 * Each has a connection of its own, and thousands would not fit into the daemon's queue of those that it has not accepted yet, nor into
 * the usual 1024 descriptors. Not fewer, as what is stopped together is stopped in the order of its dependencies.
 */
const maxAtOnce = 200;

/**
 * Does the same to several operands side by side, prints the name of each that went well in the order given, and each
 * failure on stderr; `skip` names those that need no line. Exit code 1 when one failed.
 */
export async function eachOperand(
  context: Context,
  operands: readonly string[],
  act: (operand: string) => Promise<unknown>,
  options: {
    readonly print?: boolean;
    readonly skip?: ReadonlySet<string>;
    readonly failure?: (failed: readonly string[]) => string;
  } = {},
): Promise<number> {
  const turns = new Semaphore(maxAtOnce);
  const running = operands.map(async (operand) => {
    using _turn = await turns.acquire();
    await act(operand);
  });
  for (const job of running) job.catch(() => undefined); // told below, in order
  const failed: string[] = [];
  for (const [at, job] of running.entries()) {
    const operand = operands[at] ?? "";
    try {
      await job;
      if (options.print !== false && !options.skip?.has(operand)) await context.out.write(`${operand}\n`);
    } catch (error) {
      failed.push(operand);
      await context.err.write(failureText(error) ?? "");
    }
  }
  if (failed.length === 0) return 0;
  if (options.failure) throw new TugError("internal", options.failure(failed));
  return 1;
}
