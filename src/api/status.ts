import { codeOf, type ErrorCode } from "../base/lib/errors.ts";

/** The HTTP status of each error code: the only place that decides it. */
const statuses: Readonly<Record<ErrorCode, number>> = {
  "invalid-argument": 400,
  unauthorized: 401,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  "not-modified": 304,
  unavailable: 503,
  "not-implemented": 501,
  "resource-exhausted": 500,
  "data-loss": 500,
  cancelled: 500,
  "runtime-command": 400,
  internal: 500,
};

export function statusOf(error: unknown): number {
  return statuses[codeOf(error)];
}
