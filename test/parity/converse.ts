import { normal } from "./normal.ts";
import type { Conversation, Request } from "./requests.ts";

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** Holds a conversation with the engine behind a unix socket. */
export async function converse(socket: string, conversation: Conversation): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (const request of conversation.requests) replies.push(await ask(socket, request));
  return replies;
}

async function ask(unix: string, request: Request): Promise<Reply> {
  const [method = "GET", path = ""] = request.line.split(" ");
  const unversioned = /^\/(?:v1\.|_ping|nosuch$)/.test(path) || request.line === "POST /containers/json";
  const body = request.text ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
  const response = await fetch(`http://engine${unversioned ? path : `/v1.41${path}`}`, {
    unix,
    method,
    redirect: "manual",
    ...(body === undefined ? {} : { body, headers: { "Content-Type": "application/json" } }),
    ...(request.headers ? { headers: request.headers } : {}),
    signal: AbortSignal.timeout(40_000),
  });
  const text = await response.text();
  return { status: response.status, body: shown(text, request.shape ?? false) };
}

function shown(text: string, shapeOnly: boolean): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A stream, a page or nothing.
    return normal(text);
  }
  if (shapeOnly) return [...new Set(members(value, ""))].sort().join("\n");
  return normal(JSON.stringify(value, replacer, 1));
}

/** Members in order of their names, and what differs in any two runs left out. */
function replacer(key: string, value: unknown): unknown {
  if (/^(?:Created|Pid|SizeRw|SizeRootFs|Size|SpaceReclaimed)$/.test(key)) return typeof value;
  if (/^(?:GraphDriver|MaskedPaths)$/.test(key)) return "<differs>";
  if (/(?:Path|Mountpoint|SandboxKey)$/.test(key) && typeof value === "string" && value.includes("/tug-"))
    return "<path>";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** "NetworkSettings.Ports: object" for every member; those of maps by `*`. */
function members(value: unknown, path: string): string[] {
  if (value === null) return [`${path}: null`];
  if (Array.isArray(value)) {
    return value.length === 0 ? [`${path}: []`] : value.flatMap((each) => members(each, `${path}[]`));
  }
  if (typeof value !== "object") return [`${path}: ${typeof value}`];
  const own = Object.entries(value).flatMap(([key, each]) => members(each, `${path}.${key}`));
  return own.length === 0 ? [`${path}: {}`] : own;
}
