import { messageOf, TugError } from "../base/lib/errors.ts";

/** The exit code a failure asks for; 1 when it asks for none. */
export function exitCodeOf(error: unknown): number {
  return error instanceof TugError ? (error.detail.exitCode ?? 1) : 1;
}

/** True for the error of writing to a reader that went away (`tug ps | head -1`): nothing to tell anybody. */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

/**
 * What a failed command prints on stderr; undefined for a silent failure (its exit code says it all). With `detail` the
 * causes follow, a line each.
 */
export function failureText(error: unknown, detail = false): string | undefined {
  const text = messageOf(error);
  if (text === "") return undefined;
  const lines = [text];
  if (detail) {
    for (let cause = causeOf(error); cause !== undefined; cause = causeOf(cause)) {
      if (messageOf(cause) !== lines.at(-1)) lines.push(`  caused by: ${messageOf(cause)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined);
