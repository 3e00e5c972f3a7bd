import { invalid } from "../../base/lib/errors.ts";
import type { Context } from "../context.ts";

/** Docker's check: a terminal inside with standard input attached wants a terminal outside. */
export function checkTerminal(context: Context, stdin: boolean, tty: boolean): void {
  if (stdin && tty && !context.in.isTerminal) throw invalid("the input device is not a TTY");
}
