import { messageOf, TugError } from "../../base/lib/errors.ts";

/**
 * Gives a failed start the exit code shells use: 127 when the program was not found, 126 when it cannot be executed, 125
 * otherwise. The API has no field for this, so Docker's clients read the text, and so must we.
 */
export function startFailure(error: unknown): TugError {
  const text = messageOf(error);
  const notFound =
    /executable file not found|no such file or directory|system cannot find the file specified/.test(text);
  const notRunnable = /permission denied|is a directory/.test(text);
  return new TugError(error instanceof TugError ? error.code : "internal", text, {
    cause: error,
    detail: { exitCode: notFound ? 127 : notRunnable ? 126 : 125 },
  });
}
