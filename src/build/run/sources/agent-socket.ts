import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../../base/lib/log.ts";
import type { BuildSession, DuplexBytes } from "../../session.ts";

/**
 * The agent that a client forwards, as a socket in the file system for programs that want a path. Each connection to it is one to the
 * client. `directory` is made for it and removed with it.
 */
export async function openAgentSocket(
  session: BuildSession,
  id: string,
  directory: string,
  log: Log,
): Promise<{ readonly path: string } & AsyncDisposable> {
  mkdirSync(directory, { mode: 0o700 });
  const path = join(directory, "agent.sock");
  const connections = new Set<DuplexBytes>();
  const listener = Bun.listen<{ agent: Promise<DuplexBytes> }>({
    unix: path,
    socket: {
      open(socket) {
        const agent = session.ssh(id);
        socket.data = { agent };
        agent
          .then(async (connection) => {
            connections.add(connection);
            try {
              for await (const bytes of connection.readable) socket.write(bytes);
            } finally {
              socket.end();
            }
          })
          .catch((error: unknown) => {
            log.debug("the client's agent ended a connection", { error });
            socket.end();
          });
      },
      async data(socket, bytes) {
        const copy = Buffer.from(bytes);
        await (await socket.data.agent).write(copy);
      },
      async close(socket) {
        const connection = await socket.data.agent.catch(() => undefined);
        if (!connection) return;
        connections.delete(connection);
        await connection[Symbol.asyncDispose]();
      },
    },
  });
  chmodSync(path, 0o600);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      listener.stop(true);
      for (const connection of connections) await connection[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
