import type { Exchange } from "../base/http/exchange.ts";
import type { ReplyHeaders } from "../base/http/head.ts";
import type { Query } from "./query.ts";
import type { ApiVersion } from "./version.ts";

/** One request on its way through a route. */
export interface Call {
  readonly exchange: Exchange;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** The N of API version 1.N that the client speaks. */
  readonly version: ApiVersion;
  /** Header fields that every reply of this server carries. */
  readonly headers: ReplyHeaders;
}

/** A path parameter; the router guarantees that it is there. */
export function param(call: Call, name: string): string {
  return call.params[name] ?? "";
}

/** A JSON reply; Go's encoder ends it with a line break, and so do we. */
export function json(call: Call, status: number, value: unknown, headers: ReplyHeaders = {}): void {
  call.exchange.send(
    status,
    { ...call.headers, "Content-Type": "application/json", ...headers },
    `${JSON.stringify(value)}\n`,
  );
}

/** A reply without a body. */
export function empty(call: Call, status = 204): void {
  call.exchange.send(status, call.headers);
}
