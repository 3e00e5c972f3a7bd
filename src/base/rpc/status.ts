import { causeOf, codeOf, type ErrorCode, messageOf, TugError } from "../lib/errors.ts";
import { Status } from "../spec/buildkit/status.gen.ts";

/** gRPC's status codes (grpc/doc/statuscodes.md). */
export const Code = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** One detail of a status (google.protobuf.Any). */
export interface Detail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** A call that failed at its peer: the status with its details, as a `TugError`. */
export class RpcError extends TugError {
  readonly status: number;
  readonly details: readonly Detail[];
  constructor(status: number, message: string, details: readonly Detail[] = [], cause?: unknown) {
    super(fromStatus[status] ?? "internal", message, { cause });
    this.status = status;
    this.details = details;
  }
}

const fromStatus: Readonly<Record<number, ErrorCode>> = {
  1: "cancelled",
  3: "invalid-argument",
  4: "unavailable",
  5: "not-found",
  6: "conflict",
  7: "forbidden",
  8: "resource-exhausted",
  9: "conflict",
  10: "conflict",
  11: "invalid-argument",
  12: "not-implemented",
  14: "unavailable",
  15: "data-loss",
  16: "unauthorized",
};

/** What is not listed is `unknown`, as an error without a status is in Go: clients then print the message alone. */
const toStatus: Partial<Record<ErrorCode, number>> = {
  "invalid-argument": Code.invalidArgument,
  unauthorized: Code.unauthenticated,
  forbidden: Code.permissionDenied,
  "not-found": Code.notFound,
  conflict: Code.failedPrecondition,
  unavailable: Code.unavailable,
  "not-implemented": Code.unimplemented,
  "resource-exhausted": Code.resourceExhausted,
  "data-loss": Code.dataLoss,
  cancelled: Code.cancelled,
};

/** The status that an error is told as. */
export function statusOf(error: unknown): Status {
  const cause = causeOf(error);
  if (cause instanceof RpcError)
    return { code: cause.status, message: cause.message, details: [...cause.details] };
  return { code: toStatus[codeOf(cause)] ?? Code.unknown, message: messageOf(cause), details: [] };
}

/** The trailer fields of a status (grpc/doc/PROTOCOL-HTTP2.md, "Responses"). */
export function statusFields(status: Status): Record<string, string> {
  const fields: Record<string, string> = { "grpc-status": String(status.code) };
  if (status.message !== "") fields["grpc-message"] = encodeMessage(status.message);
  if (status.details.length > 0) {
    const bytes = Status.encode(status).finish();
    // A peer refuses header lists that are too long: without its details the status still says what happened.
    if (bytes.length <= maxDetails) fields["grpc-status-details-bin"] = Buffer.from(bytes).toString("base64");
  }
  return fields;
}

const maxDetails = 256 * 1024;
/** And messages are cut: Go's clients take header lists of 16 MiB at most, some proxies 8 KiB. */
const maxMessage = 64 * 1024;

/** undefined: the call succeeded. */
export function errorOfFields(fields: Readonly<Record<string, unknown>>): RpcError | undefined {
  const text = String(fields["grpc-status"] ?? "");
  const code = /^\d{1,3}$/.test(text) ? Number(text) : Code.unknown;
  if (code === Code.ok) return undefined;
  const message = decodeMessage(String(fields["grpc-message"] ?? ""));
  return new RpcError(code, message, detailsOf(fields["grpc-status-details-bin"]));
}

function detailsOf(field: unknown): readonly Detail[] {
  if (typeof field !== "string" || field === "") return [];
  try {
    return Status.decode(Buffer.from(field, "base64")).details;
  } catch {
    return []; // a peer's details that do not parse explain nothing; its message is there
  }
}

/** Percent-encoding of all that is not printable ASCII, and of the percent sign. */
function encodeMessage(message: string): string {
  const bytes = Buffer.from(message).subarray(0, maxMessage);
  let out = "";
  for (const byte of bytes) {
    out +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

function decodeMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const hex = text[i] === "%" ? text.slice(i + 1, i + 3) : "";
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(...Buffer.from(text[i] ?? ""));
  }
  return Buffer.from(bytes).toString();
}
