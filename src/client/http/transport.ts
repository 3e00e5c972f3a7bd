import { messageOf, TugError } from "../../base/lib/errors.ts";
import type { Address, TlsOptions } from "../address.ts";
import type { Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import { Body, type Head, readHead } from "./response.ts";

/** Header fields of a request; an array repeats the field. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[]>>;

/** What goes out: a body of known length, or a stream sent in chunks. */
export type RequestBody = string | Uint8Array | AsyncIterable<Uint8Array>;

export interface HttpRequest {
  readonly method: string;
  /** Path and query, encoded. */
  readonly target: string;
  /** An array repeats the field. */
  readonly headers?: RequestHeaders | undefined;
  readonly body?: RequestBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpReply extends Head {
  readonly body: Body;
}

/** A reply, or the raw connection when the daemon agreed to switch to it. */
export type UpgradeReply =
  | { readonly upgraded: true; readonly head: Head; readonly stream: Connection }
  | { readonly upgraded: false; readonly reply: HttpReply };

/** The body could not be made, as opposed to sent: the daemon waits for the rest and no reply will come. */
class BodyFailure extends Error {}

async function* marked(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch (cause) {
    throw new BodyFailure(messageOf(cause), { cause });
  }
}

/** HTTP/1.1 over kept-alive connections to one daemon. */
export class Transport {
  readonly #address: Address;
  readonly #tls: TlsOptions | undefined;
  readonly #headers: Readonly<Record<string, string>>;
  #idle: Connection[] = [];
  #warming: Promise<Connection>[] = [];

  constructor(address: Address, tls: TlsOptions | undefined, headers: Readonly<Record<string, string>> = {}) {
    this.#address = address;
    this.#tls = tls;
    this.#headers = headers;
  }

  /** Opens `count` connections ahead of the requests that will need them. */
  warm(count: number): void {
    for (let i = 0; i < count; i++) {
      const dialled = dial(this.#address, this.#tls);
      dialled.catch(() => undefined); // whoever takes it sees the failure
      this.#warming.push(dialled);
    }
  }

  async send(request: HttpRequest): Promise<HttpReply> {
    const { connection, head } = await this.#exchange(request, {});
    return this.#reply(connection, head, request);
  }

  /**
   * Asks to take over the connection as a raw stream (Docker's "hijack": 101 UPGRADED, or 200 from older daemons), or for another protocol
   * that the request's own Upgrade field names.
   */
  async upgrade(request: HttpRequest): Promise<UpgradeReply> {
    const headers = { Connection: "Upgrade", Upgrade: request.headers?.["Upgrade"] ?? "tcp" };
    const { connection, head } = await this.#exchange(request, headers);
    const raw =
      head.status === 200 && (head.headers["content-type"] ?? "").startsWith("application/vnd.docker.");
    if (head.status === 101 || raw) return { upgraded: true, head, stream: connection };
    return { upgraded: false, reply: this.#reply(connection, head, request) };
  }

  close(): void {
    for (const connection of this.#idle) connection.close();
    this.#idle = [];
    for (const dialled of this.#warming) {
      dialled.then(
        (connection) => connection.close(),
        () => undefined, // it never opened
      );
    }
    this.#warming = [];
  }

  #reply(connection: Connection, head: Head, request: HttpRequest): HttpReply {
    const abort = () => connection.close();
    request.signal?.addEventListener("abort", abort, { once: true });
    const body = new Body(connection, head, request.method === "HEAD", (reusable) => {
      request.signal?.removeEventListener("abort", abort);
      if (reusable && !connection.closed) this.#idle.push(connection);
      else connection.close();
    });
    return { ...head, body };
  }

  async #exchange(
    request: HttpRequest,
    extra: RequestHeaders,
  ): Promise<{ connection: Connection; head: Head }> {
    request.signal?.throwIfAborted();
    const reused = this.#takeIdle();
    if (reused) {
      try {
        return await this.#attempt(reused, request, extra);
      } catch (error) {
        // A kept-alive connection may have died meanwhile; only a body that can be sent again gets a second try.
        reused.close();
        if (request.signal?.aborted || !(request.body === undefined || typeof request.body === "string"))
          throw error;
      }
    }
    const warm = this.#warming.shift();
    const connection = await (warm ?? dial(this.#address, this.#tls));
    try {
      return await this.#attempt(connection, request, extra);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #takeIdle(): Connection | undefined {
    for (let last = this.#idle.pop(); last; last = this.#idle.pop()) {
      if (!last.closed) return last;
    }
    return undefined;
  }

  async #attempt(connection: Connection, request: HttpRequest, extra: RequestHeaders) {
    const signal = request.signal;
    const abort = () => connection.close();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      // A head that cannot be made is told at once: nobody would answer to it.
      const start = this.#start(request, extra);
      const sending = this.#write(connection, request, start);
      // The daemon may refuse before it read the whole body: the reply counts, not the broken pipe.
      const head = readHead(connection);
      const failed = sending.then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      return { connection, head: await Promise.race([head, failed.then((f) => this.#sendFailed(f, head))]) };
    } catch (error) {
      if (signal?.aborted)
        throw new TugError("cancelled", messageOf(signal.reason), { cause: signal.reason });
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async #sendFailed(failure: { error: unknown } | undefined, head: Promise<Head>): Promise<Head> {
    if (!failure) return head;
    if (failure.error instanceof BodyFailure) throw failure.error.cause;
    try {
      return await head;
    } catch {
      throw failure.error; // no reply either: the cause is what broke the sending
    }
  }

  /** The request line and the fields but those of the body. */
  #start(request: HttpRequest, extra: RequestHeaders): string {
    const base = this.#address.kind === "tcp" ? this.#address.path : "";
    let head = `${request.method} ${base}${request.target} HTTP/1.1\r\nHost: ${this.#host()}\r\nUser-Agent: tug\r\n`;
    for (const [name, values] of Object.entries({ ...this.#headers, ...request.headers, ...extra })) {
      for (const value of typeof values === "string" ? [values] : values)
        head += `${name}: ${value.replace(/[\r\n]+/g, " ")}\r\n`;
    }
    return head;
  }

  async #write(connection: Connection, request: HttpRequest, start: string): Promise<void> {
    const { body } = request;
    let head = start;
    if (body === undefined) {
      if (request.method === "POST" || request.method === "PUT") head += "Content-Length: 0\r\n";
      await connection.write(`${head}\r\n`);
    } else if (typeof body === "string") {
      await connection.write(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    } else if (body instanceof Uint8Array) {
      await connection.write(`${head}Content-Length: ${body.length}\r\n\r\n`);
      await connection.write(body);
    } else {
      await connection.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
      for await (const chunk of marked(body)) {
        if (chunk.length === 0) continue;
        await connection.write(`${chunk.length.toString(16)}\r\n`);
        await connection.write(chunk);
        await connection.write("\r\n");
      }
      await connection.write("0\r\n\r\n");
    }
  }

  #host(): string {
    if (this.#address.kind !== "tcp") return "tug";
    const { host, port } = this.#address;
    return `${host.includes(":") ? `[${host}]` : host}:${port}`;
  }
}
