import { TugError } from "./errors.ts";

const full: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large",
  EMFILE: "too many open files",
  ENFILE: "too many open files in system",
};

/** errno name of a failed file operation, or undefined for any other thrown value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The disk, or what may be written to it, is used up. */
export function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(errnoOf(error) ?? "");
}

/**
 * Gives a failed file operation its code: a full disk or quota is `resource-exhausted` in Docker's words ("write /path: no
 * space left on device"), anything else `internal`. A `TugError` passes unchanged.
 */
export function storageError(error: unknown, operation: string, path: string): TugError {
  if (error instanceof TugError) return error;
  const reason = full[errnoOf(error) ?? ""];
  if (reason) return new TugError("resource-exhausted", `${operation} ${path}: ${reason}`, { cause: error });
  const text = error instanceof Error ? error.message : String(error);
  return new TugError("internal", `${operation} ${path}: ${text}`, { cause: error });
}
