import { connect, createServer, type Server, type Socket } from "node:net";

/** A TCP relay that breaks connections off in the middle of what the server (or the client) sends. */
export class CuttingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly port: number;
  /** Connections cut so far. */
  cuts = 0;

  private constructor(server: Server, open: Set<Socket>, port: number) {
    this.#server = server;
    this.#open = open;
    this.port = port;
  }

  /** Cuts a connection after `after` bytes in one direction, at most `times` times. */
  static async before(
    target: number,
    options: { readonly direction: "down" | "up"; readonly after: number; readonly times: number },
  ): Promise<CuttingProxy> {
    const open = new Set<Socket>();
    let proxy: CuttingProxy | undefined;
    const server = createServer((client) => {
      const upstream = connect(target, "127.0.0.1");
      let passed = 0;
      const end = () => {
        client.destroy();
        upstream.destroy();
      };
      for (const [from, to, counts] of [
        [client, upstream, options.direction === "up"],
        [upstream, client, options.direction === "down"],
      ] as const) {
        open.add(from);
        from.on("error", end);
        from.on("close", () => {
          open.delete(from);
          end();
        });
        from.on("drain", () => to.resume());
        from.on("data", (chunk: Buffer) => {
          passed += counts ? chunk.byteLength : 0;
          if (proxy && counts && passed > options.after && proxy.cuts < options.times) {
            proxy.cuts++;
            to.write(chunk.subarray(0, Math.max(0, chunk.byteLength - (passed - options.after))), end);
            from.pause();
          } else if (!to.write(chunk)) from.pause();
        });
      }
    });
    const listening = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    proxy = new CuttingProxy(server, open, address.port);
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    await closed.promise;
  }
}
