/**
 * The closed set of failures. Every error that crosses a folder is a `TugError` with one of these codes; `api/status.ts`
 * maps a code to an HTTP status and `cli/exit.ts` to an exit code. Nobody matches on message text.
 */
export type ErrorCode =
  | "invalid-argument" // 400: the request is malformed or contradicts itself
  | "unauthorized" // 401: credentials missing or refused
  | "forbidden" // 403: understood and refused
  | "not-found" // 404
  | "conflict" // 409: the object's state or name forbids it now
  | "not-modified" // 304: already in the asked-for state
  | "unavailable" // 503: a peer (registry, plugin) cannot be reached
  | "not-implemented" // 501: this host lacks the feature
  | "resource-exhausted" // 500: disk, memory, addresses used up
  | "data-loss" // 500: digest mismatch, corrupt archive or store
  | "cancelled" // the caller went away
  | "runtime-command" // 400 + exit 127/126: the container's command could not be executed
  | "internal"; // 500: a bug or an unexpected failure below

/** Detail of a `runtime-command` failure: 127 the program was not found, 126 it cannot be executed, 125 otherwise. */
export interface ErrorDetail {
  readonly exitCode?: number;
}

export class TugError extends Error {
  override readonly name = "TugError";
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; detail?: ErrorDetail } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** What went wrong first: where a clean-up fails as well, `using` throws both as a `SuppressedError` that says nothing itself. */
export function causeOf(error: unknown): unknown {
  return error instanceof SuppressedError ? causeOf(error.suppressed) : error;
}

/** The code of any thrown value; what is not a `TugError` is `internal`. */
export function codeOf(error: unknown): ErrorCode {
  const cause = causeOf(error);
  return cause instanceof TugError ? cause.code : "internal";
}

/** True when `error` is a `TugError` of that code. */
export function isCode(error: unknown, code: ErrorCode): boolean {
  const cause = causeOf(error);
  return cause instanceof TugError && cause.code === code;
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  const cause = causeOf(error);
  return cause instanceof Error ? cause.message : String(cause);
}

export const invalid = (message: string, cause?: unknown) =>
  new TugError("invalid-argument", message, { cause });
export const notFound = (message: string, cause?: unknown) => new TugError("not-found", message, { cause });
export const conflict = (message: string, cause?: unknown) => new TugError("conflict", message, { cause });
export const internal = (message: string, cause?: unknown) => new TugError("internal", message, { cause });
