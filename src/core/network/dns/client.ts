import { closeSync, openSync } from "node:fs";
import type { Socket, Subprocess } from "bun";
import { TugError } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { type DnsContainer, type DnsReply, type DnsRequest, protocolVersion } from "./protocol.ts";

const patience = 10_000;

export interface ResolverClientDeps {
  readonly socketPath: string;
  readonly logPath: string;
  readonly helperCommand: readonly string[];
  readonly hostResolvConf: string;
  readonly log: Log;
  /** What the resolver should know now, from the records. */
  readonly wanted: () => readonly DnsContainer[];
}

type Body = DnsRequest extends infer R ? (R extends DnsRequest ? Omit<R, "seq"> : never) : never;

interface Pending {
  readonly resolve: (reply: DnsReply) => void;
  readonly reject: (error: Error) => void;
}

/** One connection to the resolver process. */
class Connection {
  readonly #pending = new Map<number, Pending>();
  #socket: Socket | undefined;
  #sequence = 0;
  #received = "";
  #unsent: Buffer = Buffer.alloc(0);
  closed = false;

  static async open(path: string, onClosed: (connection: Connection) => void): Promise<Connection> {
    const connection = new Connection();
    const decoder = new TextDecoder();
    const end = () => {
      if (connection.closed) return;
      connection.closed = true;
      for (const pending of connection.#pending.values()) pending.reject(new Error("the resolver ended"));
      connection.#pending.clear();
      onClosed(connection);
    };
    connection.#socket = await Bun.connect({
      unix: path,
      socket: {
        data: (_socket, chunk) => connection.#onData(decoder.decode(chunk, { stream: true })),
        drain: () => connection.#flush(),
        close: end,
        error: end,
        end,
      },
    });
    return connection;
  }

  #onData(text: string): void {
    const lines = (this.#received + text).split("\n");
    this.#received = lines.pop() ?? "";
    for (const line of lines) {
      const reply = JSON.parse(line) as DnsReply;
      this.#pending.get(reply.seq)?.resolve(reply);
      this.#pending.delete(reply.seq);
    }
  }

  #flush(): void {
    const written = this.#socket?.write(this.#unsent) ?? 0;
    this.#unsent = this.#unsent.subarray(Math.max(0, written));
  }

  async request(body: Body): Promise<DnsReply> {
    if (this.closed) throw new Error("the resolver ended");
    const seq = ++this.#sequence;
    const reply = new Promise<DnsReply>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(seq);
        reject(new Error("the resolver does not answer"));
      }, patience);
      const settle = <T>(then: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      };
      this.#pending.set(seq, { resolve: settle(resolve), reject: settle(reject) });
    });
    this.#unsent = Buffer.concat([this.#unsent, Buffer.from(`${JSON.stringify({ ...body, seq })}\n`)]);
    this.#flush();
    return await reply;
  }

  close(): void {
    this.#socket?.end();
  }
}

/**
 * The daemon's end of the resolver process: finds it running or starts it, tells it about containers, and brings it back with
 * everything it knew when it dies.
 */
export class ResolverClient {
  readonly #deps: ResolverClientDeps;
  #connecting: Promise<Connection> | undefined;
  #connection: Connection | undefined;
  #stopped = false;

  constructor(deps: ResolverClientDeps) {
    this.#deps = deps;
  }

  /** Begins to start the process, for its time to pass beside other work. */
  prepare(): void {
    this.#ensure().catch((error) => this.#deps.log.warn("the resolver does not start", { error }));
  }

  async put(container: DnsContainer): Promise<void> {
    await this.#ask({ op: "put", container });
  }

  /** Forgets a container; without a resolver there is nothing to forget. */
  async drop(id: string): Promise<void> {
    if (!this.#connection && !this.#connecting) return;
    await this.#ask({ op: "drop", id });
  }

  /** Makes the resolver know exactly what is wanted; starts none for nothing. */
  async sync(): Promise<void> {
    const containers = this.#deps.wanted();
    const connection = containers.length > 0 ? await this.#ensure() : await this.#existing();
    if (!connection) return;
    const reply = await connection.request({ op: "sync", containers });
    if (!reply.ok) this.#deps.log.warn("resolver: some containers have no names", { error: reply.error });
  }

  /** Ends the connection; the process goes on while containers need it. `everything`: ends the process too. */
  async stop(everything: boolean): Promise<void> {
    const connection = everything ? await this.#existing() : this.#connection;
    this.#stopped = true;
    if (!connection) return;
    if (everything) {
      const gone = new Promise<void>((resolve) => {
        this.#onGone = resolve;
      });
      await connection.request({ op: "exit" });
      await gone;
    }
    connection.close();
  }

  #onGone: () => void = () => undefined;

  async #ask(body: Body): Promise<void> {
    let reply: DnsReply;
    try {
      reply = await (await this.#ensure()).request(body);
    } catch (error) {
      // It may just have gone for want of work: the next one is told the same.
      this.#deps.log.debug("resolver: asking again", { error });
      reply = await (await this.#ensure()).request(body);
    }
    if (!reply.ok) throw new TugError("internal", `the resolver of user-defined networks: ${reply.error}`);
  }

  /** The connection to a resolver that runs already, if one does. */
  async #existing(): Promise<Connection | undefined> {
    if (this.#connection) return this.#connection;
    if (this.#connecting) return await this.#connecting;
    try {
      return await this.#connect();
    } catch (error) {
      this.#deps.log.debug("no resolver runs", { error });
      return undefined;
    }
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#deps.socketPath, (closed) => this.#onClosed(closed));
    const reply = await connection.request({ op: "hello" });
    if (!reply.ok || reply.version !== protocolVersion) {
      // Of another version of this program: replaced.
      await connection
        .request({ op: "exit" })
        .catch((error) => this.#deps.log.debug("resolver exit", { error }));
      connection.close();
      throw new Error("the running resolver speaks another version");
    }
    this.#connection = connection;
    return connection;
  }

  #onClosed(connection: Connection): void {
    this.#onGone();
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#stopped || this.#deps.wanted().length === 0) return;
    this.#deps.log.warn("the resolver ended, starting it again");
    this.sync().catch((error) => this.#deps.log.error("the resolver does not come back", { error }));
  }

  async #ensure(): Promise<Connection> {
    if (this.#connection) return this.#connection;
    this.#connecting ??= this.#start().finally(() => {
      this.#connecting = undefined;
    });
    return await this.#connecting;
  }

  async #start(): Promise<Connection> {
    const running = await this.#connect().catch((error) => {
      this.#deps.log.debug("no resolver runs", { error });
      return undefined;
    });
    if (running) return running;
    await this.#spawn();
    const connection = await this.#connect();
    const containers = this.#deps.wanted();
    if (containers.length > 0) await connection.request({ op: "sync", containers });
    return connection;
  }

  /** Starts the process and waits until it says "ready". Its own session: what ends the daemon does not end it. */
  async #spawn(): Promise<void> {
    const stderr = openSync(this.#deps.logPath, "w", 0o600);
    let child: Subprocess<"ignore", "pipe", number>;
    try {
      child = Bun.spawn(
        [...this.#deps.helperCommand, "resolver", this.#deps.socketPath, this.#deps.hostResolvConf],
        {
          cwd: "/",
          stdin: "ignore",
          stdout: "pipe",
          stderr,
          detached: true,
        },
      );
    } finally {
      closeSync(stderr);
    }
    child.unref();
    const reader = child.stdout.getReader();
    const first = await reader.read();
    reader.releaseLock();
    if (first.done) {
      const code = await child.exited;
      throw new TugError(
        "internal",
        `the resolver of user-defined networks did not start (exit code ${code})`,
      );
    }
  }
}
