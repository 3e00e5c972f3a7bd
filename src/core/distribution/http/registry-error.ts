import { type ErrorCode, TugError } from "../../../base/lib/errors.ts";
import { parseChallenges } from "../auth/challenge.ts";
import { bodyChunks } from "./body.ts";
import type { Exchange } from "./transport.ts";

/** An error a registry answered with: `kind` is its code ("MANIFEST_UNKNOWN"), or "" when the body held none. */
export class RegistryError extends TugError {
  readonly status: number;
  readonly kind: string;
  /** The Retry-After header of a refusal that ends by itself (429, 503), as it was sent. */
  readonly retryAfter: string | undefined;
  constructor(status: number, kind: string, message: string, retryAfter?: string) {
    super(codeFor(status, kind), message);
    this.status = status;
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

/** Codes of the distribution-spec ("Error Codes") that say more than the status does. */
function codeFor(status: number, kind: string): ErrorCode {
  if (kind === "UNAUTHORIZED") return "unauthorized";
  if (kind === "DENIED") return "forbidden";
  if (kind === "TOOMANYREQUESTS" || status === 429 || status === 408 || status >= 500) return "unavailable";
  if (/_UNKNOWN$/.test(kind)) return "not-found";
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not-found";
  return "internal";
}

/** What the codes mean when the registry sends no message of its own. */
const defaultMessages: Readonly<Record<string, string>> = {
  UNAUTHORIZED: "authentication required",
  DENIED: "requested access to the resource is denied",
  MANIFEST_UNKNOWN: "manifest unknown",
  NAME_UNKNOWN: "repository name not known to registry",
  BLOB_UNKNOWN: "blob unknown to registry",
  TOOMANYREQUESTS: "too many requests",
};

const bodyLimit = 64 * 1024;

/** Reads an error response into the sentence dockerd would print. Never throws for a bad body. */
export async function readRegistryError(exchange: Exchange): Promise<RegistryError> {
  const { status, headers } = exchange.response;
  const after = status === 429 || status === 503 ? headers.get("retry-after") : null;
  const error = await interpret(exchange);
  return after === null ? error : new RegistryError(error.status, error.kind, error.message, after);
}

async function interpret(exchange: Exchange): Promise<RegistryError> {
  const { status, headers } = exchange.response;
  const text = await bodyStart(exchange);
  if (status < 400 || status >= 500) {
    return new RegistryError(status, "", `received unexpected HTTP status: ${statusLine(exchange.response)}`);
  }
  if (status === 401) {
    // RFC 6750, 3.1: a bearer challenge may carry the reason.
    for (const challenge of parseChallenges(headers.get("www-authenticate") ?? "")) {
      const reason = challenge.scheme === "bearer" ? challenge.parameters["error"] : undefined;
      const kind =
        reason === "insufficient_scope" ? "DENIED" : reason === "invalid_token" ? "UNAUTHORIZED" : "";
      if (kind === "") continue;
      const message = challenge.parameters["error_description"] ?? defaultMessages[kind];
      return new RegistryError(status, kind, `${words(kind)}: ${message}`);
    }
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    if (status === 401)
      return new RegistryError(status, "UNAUTHORIZED", "unauthorized: authentication required");
    return new RegistryError(
      status,
      "",
      `error parsing HTTP ${status} response body: ${jsonComplaint(text)}`,
    );
  }
  const first = firstError(body);
  if (first) {
    const message = first.message || defaultMessages[first.kind] || "unknown error";
    return new RegistryError(status, first.kind, `${words(first.kind)}: ${message}`);
  }
  const details = detailsOf(body);
  if (details !== undefined && (status === 401 || status === 429)) {
    const kind = status === 401 ? "UNAUTHORIZED" : "TOOMANYREQUESTS";
    return new RegistryError(status, kind, `${words(kind)}: ${details}`);
  }
  if (status === 401)
    return new RegistryError(status, "UNAUTHORIZED", "unauthorized: authentication required");
  const quoted = JSON.stringify(text.slice(0, 1024));
  return new RegistryError(
    status,
    "",
    `error parsing HTTP ${status} response body: no error details found in HTTP response body: ${quoted}`,
  );
}

export function statusLine(response: Response): string {
  return `${response.status} ${response.statusText}`.trim();
}

async function bodyStart(exchange: Exchange): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of bodyChunks(exchange, 10_000)) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size >= bodyLimit) break;
    }
  } catch {
    // The status is the news; a body that breaks off adds nothing to it.
    chunks.push(new Uint8Array());
  } finally {
    exchange[Symbol.dispose]();
  }
  return Buffer.concat(chunks).toString("utf8");
}

function firstError(body: unknown): { readonly kind: string; readonly message: string } | undefined {
  if (typeof body !== "object" || body === null || !("errors" in body) || !Array.isArray(body.errors))
    return undefined;
  const first: unknown = body.errors[0];
  if (typeof first !== "object" || first === null) return undefined;
  const kind =
    "code" in first && typeof first.code === "string" ? first.code.toUpperCase().slice(0, 100) : "UNKNOWN";
  const message = "message" in first && typeof first.message === "string" ? first.message.slice(0, 4096) : "";
  return { kind, message };
}

function detailsOf(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null || !("details" in body)) return undefined;
  return typeof body.details === "string" ? body.details.slice(0, 4096) : undefined;
}

/** "MANIFEST_UNKNOWN" -> "manifest unknown". */
function words(kind: string): string {
  return kind.toLowerCase().replaceAll("_", " ");
}

/** What a Go JSON decoder says of a body that is no JSON, quoting its start. */
function jsonComplaint(text: string): string {
  const quoted = JSON.stringify(text.slice(0, 1024));
  const first = text.trimStart().charAt(0);
  if (first === "") return `unexpected end of JSON input: ${quoted}`;
  return `invalid character '${first}' looking for beginning of value: ${quoted}`;
}
