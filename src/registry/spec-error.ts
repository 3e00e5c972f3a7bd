import type { ReplyHeaders } from "../base/http/head.ts";
import { codeOf, type ErrorCode, messageOf, TugError } from "../base/lib/errors.ts";

/** Codes of the distribution spec v1.1 ("Error Codes") with their usual status; the last five are distribution's own. */
const codes = {
  BLOB_UNKNOWN: [404, "not-found"],
  BLOB_UPLOAD_INVALID: [400, "invalid-argument"],
  BLOB_UPLOAD_UNKNOWN: [404, "not-found"],
  DIGEST_INVALID: [400, "invalid-argument"],
  MANIFEST_BLOB_UNKNOWN: [404, "not-found"],
  MANIFEST_INVALID: [400, "invalid-argument"],
  MANIFEST_UNKNOWN: [404, "not-found"],
  NAME_INVALID: [400, "invalid-argument"],
  NAME_UNKNOWN: [404, "not-found"],
  SIZE_INVALID: [400, "invalid-argument"],
  UNAUTHORIZED: [401, "unauthorized"],
  DENIED: [403, "forbidden"],
  UNSUPPORTED: [405, "not-implemented"],
  TOOMANYREQUESTS: [429, "unavailable"],
  RANGE_INVALID: [416, "invalid-argument"],
  TAG_INVALID: [400, "invalid-argument"],
  PAGINATION_NUMBER_INVALID: [400, "invalid-argument"],
  UNAVAILABLE: [503, "unavailable"],
  UNKNOWN: [500, "internal"],
} as const satisfies Readonly<Record<string, readonly [number, ErrorCode]>>;

export type SpecCode = keyof typeof codes;

/** A failure as the distribution spec tells it: `{"errors":[{code,message,detail}]}`. */
export class SpecError extends TugError {
  readonly specCode: SpecCode;
  readonly status: number;
  /** Arbitrary JSON for the client; several errors of one request are one `SpecError` with several details. */
  readonly info: unknown;
  readonly headers: ReplyHeaders;
  constructor(
    specCode: SpecCode,
    message: string,
    info?: unknown,
    more: { readonly status?: number; readonly headers?: ReplyHeaders; readonly cause?: unknown } = {},
  ) {
    super(codes[specCode][1], message, { cause: more.cause });
    this.specCode = specCode;
    this.status = more.status ?? codes[specCode][0];
    this.info = info;
    this.headers = more.headers ?? {};
  }

  /** The response body. */
  body(): string {
    const infos = Array.isArray(this.info) ? (this.info as readonly unknown[]) : [this.info];
    const errors = infos.map((detail) => ({
      code: this.specCode,
      message: this.message,
      ...(detail !== undefined && { detail }),
    }));
    return `${JSON.stringify({ errors })}\n`;
  }
}

/** Any failure as a client of the registry is told it; what is not its business is not told in detail. */
export function toSpecError(error: unknown): SpecError {
  if (error instanceof SpecError) return error;
  const message = messageOf(error);
  const cause = { cause: error };
  switch (codeOf(error)) {
    case "invalid-argument":
      return new SpecError("UNSUPPORTED", message, undefined, { status: 400, ...cause });
    case "cancelled":
      return new SpecError("BLOB_UPLOAD_INVALID", message, undefined, cause);
    case "unavailable":
      return new SpecError("UNAVAILABLE", message, undefined, cause);
    case "resource-exhausted":
      return new SpecError("UNKNOWN", "the registry has no space left", undefined, { status: 507, ...cause });
    default:
      return new SpecError("UNKNOWN", "internal error of the registry", undefined, cause);
  }
}
