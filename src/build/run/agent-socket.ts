import { createServer, type Socket } from "node:net";
import { messageOf } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { AT_FDCWD, closeFd, fdPath, O, openat } from "../../base/sys/at.ts";
import type { BuildSession } from "../session.ts";

/** More at once than any build has; a step must not make the client open connections without end. */
const CONNECTIONS = 64;

/**
 * The agent that a client forwards, as a socket at `place` for programs that want a path. Each connection to it is one to the client; disposing
 * ends them all.
 */
export async function forwardAgent(
  { session, log }: { readonly session: BuildSession; readonly log: Log },
  id: string,
  place: { readonly directory: string; readonly name: string },
): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    forward(socket, session, id).catch((error: unknown) => {
      log.debug("a connection to the client's SSH agent ended", { error: messageOf(error) });
      socket.destroy();
    });
  });
  server.maxConnections = CONNECTIONS;
  // Through the descriptor: the whole path may be longer than a socket's address.
  const directory = openat(AT_FDCWD, place.directory, O.PATH | O.DIRECTORY);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(fdPath(directory, place.name), resolve);
    });
  } finally {
    closeFd(directory);
  }
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Both ways until both have ended; each waits for the other side to take what it was given. */
async function forward(socket: Socket, session: BuildSession, id: string): Promise<void> {
  await using agent = await session.ssh(id);
  // Not by iterating over it: the end of that closes the other direction too.
  const there = new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk: Buffer) => {
      socket.pause();
      agent.write(chunk).then(() => void socket.resume(), reject);
    });
    socket.once("end", () => void agent.end().then(resolve, reject));
    socket.once("error", reject);
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const back = async () => {
    for await (const chunk of agent.readable) {
      if (!socket.write(chunk)) await drained(socket);
    }
    socket.end();
  };
  const both = Promise.all([there, back()]);
  both.catch(() => undefined); // told below, unless the program went away first
  await Promise.race([both, closed]);
}

async function drained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const closed = () => {
      socket.off("drain", more);
      reject(new Error("the program closed its connection"));
    };
    const more = () => {
      socket.off("close", closed);
      resolve();
    };
    socket.once("drain", more);
    socket.once("close", closed);
  });
}
