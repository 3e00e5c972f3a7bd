import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { invalid } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { splitPair } from "../../flags/flag.ts";

/**
 * --ssh "default", "id=socket", "id=key,key": the sockets of agents by id. Keys are put into an agent of the build's own, which ends with `undo`.
 */
export async function openAgents(
  values: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  undo: AsyncDisposableStack,
): Promise<Readonly<Record<string, string>>> {
  const agents: Record<string, string> = {};
  for (const text of values) {
    if (text === "") continue;
    const [given, rest] = splitPair(text);
    const id = given || "default";
    if (Object.hasOwn(agents, id)) throw invalid(`duplicate agent ID ${JSON.stringify(id)}`);
    const paths = (rest || env["SSH_AUTH_SOCK"] || "").split(",").filter((path) => path !== "");
    if (paths.length === 0)
      throw invalid(
        `failed to convert agent config for ID: ${JSON.stringify(id)}: invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set`,
      );
    agents[id] = await openAgent(paths, undo);
  }
  return agents;
}

async function openAgent(paths: readonly string[], undo: AsyncDisposableStack): Promise<string> {
  const sockets = paths.filter(isSocket);
  if (sockets.length > 0 && sockets.length < paths.length)
    throw invalid("invalid combination of keys and sockets");
  if (sockets.length > 1) throw invalid("only single socket allowed");
  return sockets[0] ?? (await startAgent(paths, undo));
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch (cause) {
    throw invalid(`stat ${path}: ${systemText(cause)}`, cause);
  }
}

/** OpenSSH's agent: whatever kinds of keys it reads, builds can use. */
async function startAgent(keys: readonly string[], undo: AsyncDisposableStack): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "tug-ssh-"));
  undo.defer(() => rmSync(folder, { recursive: true, force: true }));
  const socket = join(folder, "agent");
  const agent = spawn(["ssh-agent", "-D", "-a", socket]);
  undo.defer(async () => {
    agent.kill();
    await agent.exited;
  });
  while (!(await listens(socket))) {
    const code = agent.exitCode ?? agent.signalCode;
    if (code !== null) throw invalid(`ssh-agent ended with exit code ${code}`);
    await Bun.sleep(2);
  }
  for (const key of keys) {
    const adding = spawn(["ssh-add", "-q", key], { SSH_AUTH_SOCK: socket, SSH_ASKPASS_REQUIRE: "never" });
    const [code, said] = await Promise.all([adding.exited, new Response(adding.stderr).text()]);
    if (code !== 0) throw invalid(`failed to parse ${key}: ${said.trim() || "it is no private key"}`);
  }
  return socket;
}

function spawn(command: readonly string[], env: Record<string, string> = {}) {
  try {
    return Bun.spawn([...command], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      env: { ...process.env, ...env },
    });
  } catch (cause) {
    throw invalid(
      `${command[0]} is needed to lend keys to a build: install OpenSSH's client, or name an agent's socket`,
      cause,
    );
  }
}

/** Whether an agent answers there: its socket has a name a moment before it listens, and who asks too early is refused. */
async function listens(socket: string): Promise<boolean> {
  try {
    const connection = await Bun.connect({ unix: socket, socket: { data: () => undefined } });
    connection.end();
    return true;
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === "ENOENT" || code === "ECONNREFUSED") return false;
    throw cause;
  }
}
