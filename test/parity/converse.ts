import { normal } from "./normal.ts";
import type { Conversation, Request } from "./story.ts";

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/**
 * Whether two replies say the same. Of refusals the first letter of a message may differ, as Docker has made them all small since,
 * and 400 is as good as 500: it has come to tell a bad request from a failure since 23.
 */
export function agree(request: Request, theirs: Reply, ours: Reply): boolean {
  if (request.now) {
    return (
      theirs.status >= 400 &&
      ours.status === request.now.status &&
      ours.body === JSON.stringify({ message: request.now.message }, null, 1)
    );
  }
  if (theirs.status < 400) return theirs.status === ours.status && theirs.body === ours.body;
  const status = theirs.status === ours.status || (theirs.status === 500 && ours.status < 500);
  return status && theirs.body.toLowerCase() === ours.body.toLowerCase();
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
    // A connection that is kept may be closed by the engine just when the next request goes out on it.
    keepalive: false,
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

/** Members of which one engine is older: gone since, or not there yet. */
const dated = new Set([
  "KernelMemory",
  "KernelMemoryTCP",
  "OnBuild",
  "DNSNames",
  "GwPriority",
  "VirtualSize",
  "os_type",
  "ContainerConfig",
  "Gateway",
  "RepoDigests",
  "Warnings",
  "NRI",
  "CDISpecDirs",
  "DefaultAddressPools",
  "ProductLicense",
  "RegistryConfig",
  "Runtime",
  "Runtimes",
  "Authorization",
]);

/** Members in order of their names, without what differs in any two runs. */
function replacer(key: string, value: unknown): unknown {
  if (/^(?:Created|Pid|SizeRw|SizeRootFs|Size|SpaceReclaimed)$/.test(key)) return typeof value;
  if (/^(?:GraphDriver|MaskedPaths)$/.test(key)) return "<differs>";
  // "Up Less than a second", and a moment later "Up 1 second".
  if (key === "Status" && typeof value === "string")
    return value.replace(/Less than a second|\d+ seconds?|About a minute|\d+ minutes/, "<time>");
  if (/(?:Path|Mountpoint|SandboxKey)$/.test(key) && typeof value === "string" && value.includes("/tug-"))
    return "<path>";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  // What Docker fills in since: the network's name, the policy's, a map for the ports.
  if (key === "HostConfig") {
    const host: Record<string, unknown> = { ...value };
    if (host["NetworkMode"] === "default") host["NetworkMode"] = "bridge";
    if ("PortBindings" in host) host["PortBindings"] ??= {};
    const policy = host["RestartPolicy"] as { Name?: string } | undefined;
    if (policy?.Name === "") host["RestartPolicy"] = { ...policy, Name: "no" };
    return sorted(host);
  }
  return sorted(value);
}

function sorted(value: object): unknown {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => !dated.has(key) && !(key === "Error" && each === null))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** "NetworkSettings.Ports: object" for every member; those of maps by `*`. */
function members(value: unknown, path: string): string[] {
  if (value === null) return [`${path}: {}`];
  if (Array.isArray(value)) {
    // What a container reads from the disk is what nobody has in memory yet: of the one engine's files, or of the other's.
    const none = value.length === 0 || path.includes(".blkio_stats.");
    return none ? [`${path}: {}`] : value.flatMap((each) => members(each, `${path}[]`));
  }
  if (typeof value !== "object") return [`${path}: ${typeof value}`];
  // An empty map that somebody gave and none at all are one to every client; cgroup statistics are the kernel's own.
  const shown = Object.entries(value).filter(
    ([key]) => !dated.has(key) && !path.endsWith(".memory_stats.stats"),
  );
  const own = shown.flatMap(([key, each]) => members(each, `${path}.${key}`));
  return own.length === 0 ? [`${path}: {}`] : own;
}
