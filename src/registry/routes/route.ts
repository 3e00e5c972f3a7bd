import type { Exchange } from "../../base/http/exchange.ts";
import type { Action, Identity } from "../auth/access.ts";
import type { RegistryEvent } from "../events/notifier.ts";
import { parseRepositoryName, type RepositoryName } from "../names.ts";

/** One request, after its path was matched and its sender identified. */
export interface Call {
  readonly exchange: Exchange;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly identity: Identity;
}

export interface Route {
  readonly method: string;
  readonly pattern: string;
  /** Label of the metrics. */
  readonly name: string;
  /** What it needs the right to do with the repository that the path names; undefined when it names none. */
  readonly action: Action | undefined;
  /** False: it looks at credentials itself. */
  readonly identifies?: boolean;
  run(call: Call): Promise<void>;
}

/** The repository that the path names. */
export function repositoryOf(call: Pick<Call, "params">): RepositoryName {
  return parseRepositoryName(call.params["name"] ?? "");
}

/** What an event says about the request that caused it. */
export function causeOf(call: Call): Pick<RegistryEvent, "actor" | "request"> {
  const { headers, method } = call.exchange;
  return {
    actor: call.identity.name,
    request: { method, host: headers.get("host") ?? "", userAgent: headers.get("user-agent") ?? "" },
  };
}

export function sendJson(
  call: Call,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  call.exchange.send(
    status,
    { "Content-Type": "application/json", ...headers },
    `${JSON.stringify(value)}\n`,
  );
}
