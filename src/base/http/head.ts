import { TugError } from "../lib/errors.ts";

/** A parsed request head (RFC 9112, sections 3 and 5). Header names are lower case; repeated fields are joined by ", ". */
export interface RequestHead {
  readonly method: string;
  /** The request target as sent: path and query, not decoded. */
  readonly target: string;
  /** 0 or 1: the minor version of HTTP/1.x. */
  readonly minor: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Go's server reads at most 1 MB of head; ours is 64 KB, which fits every `X-Registry-Config` a client may send. */
export const maxHeadBytes = 64 * 1024;

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const bad = (why: string) => new TugError("invalid-argument", `malformed HTTP request: ${why}`);

/** Parses the text before the empty line. Throws `invalid-argument` on anything two parsers could read differently. */
export function parseHead(text: string): RequestHead {
  const lines = text.split("\r\n");
  const [method, target, version, ...rest] = (lines[0] ?? "").split(" ");
  if (!method || !target || !version || rest.length > 0 || !token.test(method)) throw bad("request line");
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") throw bad(`unsupported protocol version ${version}`);
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? "";
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    // Neither folded lines nor a space before the colon: both are known ways to smuggle a request (RFC 9112, 5.1 and 5.2).
    if (colon < 1 || !token.test(name)) throw bad("header line");
    const value = line.slice(colon + 1).trim();
    if (/[\0\r\n]/.test(value)) throw bad("header value");
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  if (version === "HTTP/1.1" && !headers.has("host")) throw bad("missing required Host header");
  return { method, target, minor: version === "HTTP/1.1" ? 1 : 0, headers };
}

/** How the body is delimited: its length, or "chunked". */
export function bodyFraming(head: RequestHead): number | "chunked" {
  const coding = head.headers.get("transfer-encoding");
  const length = head.headers.get("content-length");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") throw bad(`unsupported transfer encoding ${coding}`);
    if (length !== undefined) throw bad("both Transfer-Encoding and Content-Length");
    return "chunked";
  }
  if (length === undefined) return 0;
  if (!/^\d{1,15}$/.test(length)) throw bad("Content-Length");
  return Number(length);
}

/** True when the comma-separated header lists the token, whatever its case. */
export function hasToken(headers: ReadonlyMap<string, string>, name: string, wanted: string): boolean {
  const value = headers.get(name);
  if (value === undefined) return false;
  return value
    .toLowerCase()
    .split(",")
    .some((part) => part.trim() === wanted);
}

/** Header fields of a reply; an array repeats the field. */
export type ReplyHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The bytes of a reply head. A line break in a value would start a header of the client's choosing: it becomes a space. */
export function encodeHead(status: number, reason: string, headers: ReplyHeaders): string {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    for (const one of typeof value === "string" ? [value] : value) {
      text += `${name}: ${one.replace(/[\r\n\0]+/g, " ")}\r\n`;
    }
  }
  return `${text}\r\n`;
}
