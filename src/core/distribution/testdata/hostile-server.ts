import { createServer, type Server, type Socket } from "node:net";

/** A TCP server that answers each request with whatever bytes a test writes, HTTP or not. */
export class HostileServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #open: Set<Socket>;
  /** "METHOD /path" of each request, and its raw head. */
  readonly heads: string[] = [];
  readonly port: number;

  private constructor(server: Server, open: Set<Socket>, port: number) {
    this.#server = server;
    this.#open = open;
    this.port = port;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** `answer` gets the path of a request and the connection to write to; a ping is answered as a registry would. */
  static async start(answer: (path: string, socket: Socket, head: string) => void): Promise<HostileServer> {
    const open = new Set<Socket>();
    let made: HostileServer | undefined;
    const server = createServer((socket) => {
      open.add(socket);
      // Clients hang up in the middle: that is what is tested.
      socket.on("error", () => socket.destroy());
      socket.on("close", () => open.delete(socket));
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        // A TLS client hello: this is plain HTTP.
        if (text === "" && chunk[0] === 0x16) return void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
        text += chunk.toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
          const head = text.slice(0, end);
          text = text.slice(end + 4);
          const path = head.split(" ")[1] ?? "";
          made?.heads.push(head);
          if (path === "/v2/") socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
          else answer(path, socket, head);
        }
      });
    });
    const listening = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    made = new HostileServer(server, open, address.port);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    for (const socket of this.#open) socket.destroy();
    await closed.promise;
  }
}

/** Writes until the connection is gone, as fast as it is taken. */
export function endless(socket: Socket, chunk: Uint8Array | string): void {
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", more);
  more();
}
