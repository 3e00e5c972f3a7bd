import { notFound } from "../../base/lib/errors.ts";
import { first } from "../../base/rpc/metadata.ts";
import { bidi, type Service, unary } from "../../base/rpc/server.ts";
import type { RpcStream } from "../../base/rpc/stream.ts";
import { Ssh } from "../../base/spec/buildkit/methods.ts";
import type { BytesMessage } from "../../base/spec/buildkit/session.gen.ts";
import { SocketConnection } from "../http/connection.ts";

/** Forwards SSH agents: by id ("default"), the path of the agent's socket. */
export function lendSsh(agents: Readonly<Record<string, string>>): readonly Service[] {
  const socketOf = (id: string) => {
    const path = Object.hasOwn(agents, id || "default") ? agents[id || "default"] : undefined;
    if (path === undefined) throw notFound(`unset ssh forward key ${id || "default"}`);
    return path;
  };
  return [
    unary(Ssh.checkAgent, async ({ id }) => {
      socketOf(id);
      return {};
    }),
    bidi(Ssh.forwardAgent, async (stream, { metadata }) => {
      const connection = new SocketConnection();
      const unix = socketOf(first(metadata, sshIdKey) ?? "");
      await Bun.connect({ unix, socket: connection.handlers, allowHalfOpen: true });
      stream.signal.addEventListener("abort", () => connection.close(), { once: true });
      await Promise.all([toAgent(stream, connection), fromAgent(stream, connection)]);
    }),
  ];
}

/** Metadata key of ForwardAgent: which agent is meant. */
const sshIdKey = "buildkit.ssh.id";

type Bytes = RpcStream<BytesMessage, BytesMessage>;

async function toAgent(stream: Bytes, connection: SocketConnection): Promise<void> {
  try {
    for (let m = await stream.next(); m !== undefined; m = await stream.next())
      await connection.write(m.data);
    connection.shutdown();
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function fromAgent(stream: Bytes, connection: SocketConnection): Promise<void> {
  try {
    for (let data = await connection.read(); data !== null; data = await connection.read())
      await stream.send({ data });
  } finally {
    connection.close();
  }
}
