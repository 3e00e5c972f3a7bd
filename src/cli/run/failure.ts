import { messageOf, TugError } from "../../base/lib/errors.ts";

/**
 * Frames a failure of `run` or `create` as Docker does: the program's name before it, its help behind it, and exit code 125
 * unless the error asks for another.
 */
function framed(name: string, error: unknown): unknown {
  const text = messageOf(error);
  if (!(error instanceof TugError) || text === "") return error;
  return new TugError(error.code, `tug: ${text}\n\nRun '${name} --help' for more information`, {
    cause: error,
    detail: { exitCode: error.detail.exitCode ?? 125 },
  });
}

/** Runs a step of `run` or `create` whose failures are framed. */
export async function framing<T>(name: string, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw framed(name, error);
  }
}
