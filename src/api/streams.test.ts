import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { demultiplex } from "../client/stream/frames.ts";
import { FakeServer } from "./fakes/server.ts";

let server: FakeServer;
beforeAll(() => {
  server = new FakeServer();
});
afterAll(() => server[Symbol.asyncDispose]());

/** A connection that sends one request and then is only bytes. */
class Stream {
  readonly #socket: Socket;
  readonly #done = Promise.withResolvers<void>();
  #bytes = Buffer.alloc(0);
  #wake: (() => void) | undefined;

  constructor(method: string, path: string, headers: readonly string[] = [], body = "") {
    this.#socket = connect({ path: server.socket, allowHalfOpen: true });
    this.#socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake?.();
    });
    this.#socket.on("end", () => this.#done.resolve());
    this.#socket.on("close", () => this.#done.resolve());
    const length = body === "" ? [] : [`Content-Length: ${body.length}`, "Content-Type: application/json"];
    this.#socket.write(
      `${[`${method} ${path} HTTP/1.1`, "Host: d", ...headers, ...length].join("\r\n")}\r\n\r\n${body}`,
    );
  }
  write(bytes: string | Uint8Array): this {
    this.#socket.write(bytes);
    return this;
  }
  endInput(): this {
    this.#socket.end();
    return this;
  }
  destroy(): void {
    this.#socket.destroy();
  }
  async until(part: string): Promise<void> {
    while (!this.#bytes.includes(part)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
  get bytes(): Buffer {
    return this.#bytes;
  }
  /** Head and body after the server has ended. */
  async end(): Promise<{ head: string; body: Buffer }> {
    await this.#done.promise;
    const split = this.#bytes.indexOf("\r\n\r\n");
    return { head: this.#bytes.subarray(0, split).toString(), body: this.#bytes.subarray(split + 4) };
  }
}

const upgrade = ["Connection: Upgrade", "Upgrade: tcp"];
const all = "stream=1&stdin=1&stdout=1&stderr=1";

async function container(options: object): Promise<string> {
  const reply = await server.ask("POST", "/containers/create", { Image: "x", ...options });
  return (reply.json as { Id: string }).Id;
}

/** What a client makes of the frames of a whole reply. */
async function unframe(body: Uint8Array): Promise<{ stdout: string; stderr: string }> {
  const got = { stdout: "", stderr: "" };
  const add = (name: "stdout" | "stderr") => (payload: Uint8Array) => {
    got[name] += Buffer.from(payload).toString();
    return undefined;
  };
  const pieces = [body].values();
  await demultiplex(
    { next: () => pieces.next().value ?? null },
    { stdout: add("stdout"), stderr: add("stderr") },
  );
  return got;
}

describe("attach", () => {
  test("upgrades, frames output and takes half-close as the end of stdin", async () => {
    const id = await container({ Cmd: ["cat"] });
    const stream = new Stream("POST", `/v1.45/containers/${id}/attach?${all}`, upgrade);
    await stream.until("\r\n\r\n");
    await server.ask("POST", `/containers/${id}/start`);
    const { head, body } = await stream.write("hello ").write("world").endInput().end();
    expect(head).toStartWith("HTTP/1.1 101 UPGRADED\r\n");
    expect(head).toContain("Content-Type: application/vnd.docker.multiplexed-stream");
    expect(head).toContain("Connection: Upgrade");
    expect(head).toContain("Upgrade: tcp");
    expect(head).not.toContain("Content-Length");
    expect((await unframe(body)).stdout).toBe("hello world");
  });

  test("with a terminal the bytes are raw", async () => {
    const id = await container({ Cmd: ["cat"], Tty: true });
    await server.ask("POST", `/containers/${id}/start`);
    const stream = new Stream("POST", `/containers/${id}/attach?${all}`, upgrade);
    const { head, body } = await stream.write("typed").endInput().end();
    expect(head).toContain("Content-Type: application/vnd.docker.raw-stream");
    expect(body.toString()).toBe("typed");
  });

  test("a client that does not ask to upgrade gets 200 and the same stream", async () => {
    const id = await container({ Cmd: ["cat"] });
    await server.ask("POST", `/containers/${id}/start`);
    const stream = new Stream("POST", `/v1.24/containers/${id}/attach?${all}`);
    const { head, body } = await stream.write("old").endInput().end();
    expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(head).toContain("application/vnd.docker.raw-stream");
    expect((await unframe(body)).stdout).toBe("old");
  });

  test("output and error keep apart", async () => {
    const id = await container({ Cmd: ["fail"] });
    await server.ask("POST", `/containers/${id}/start`);
    const { body } = await new Stream("POST", `/containers/${id}/attach?${all}`, upgrade).end();
    expect(await unframe(body)).toMatchObject({ stdout: "", stderr: "failed\n" });
  });

  test("an unknown container is an ordinary error", async () => {
    const stream = new Stream("POST", `/containers/none/attach?${all}`, upgrade);
    await stream.until("No such container: none");
    expect(stream.bytes.toString()).toStartWith("HTTP/1.1 404 Not Found\r\n");
    stream.destroy();
  });

  test("a large stream keeps every byte though the client is slow to start reading", async () => {
    const size = 8 * 1024 * 1024;
    const id = await container({ Cmd: ["spout", String(size)] });
    await server.ask("POST", `/containers/${id}/start`);
    const { body } = await new Stream("POST", `/containers/${id}/attach?${all}`, upgrade).end();
    expect((await unframe(body)).stdout.length).toBe(size);
  });

  test("detach keys and the choice of streams reach the backend", async () => {
    const id = await container({ Cmd: ["echo", "x"] });
    await server.ask("POST", `/containers/${id}/start`);
    const query = "stream=1&stdout=1&logs=1&detachKeys=ctrl-a";
    await new Stream("POST", `/containers/${id}/attach?${query}`, upgrade).end();
    expect(server.fakes.calls.findLast(([name]) => name === "attach")?.[2]).toEqual({
      stream: true,
      logs: true,
      stdin: false,
      stdout: true,
      stderr: false,
      detachKeys: "ctrl-a",
    });
  });
});

describe("exec", () => {
  const exec = async (request: object) => {
    const id = await container({ Cmd: ["cat"] });
    await server.ask("POST", `/containers/${id}/start`);
    const reply = await server.ask("POST", `/containers/${id}/exec`, { AttachStdout: true, ...request });
    return (reply.json as { Id: string }).Id;
  };
  const start = (id: string, body = "{}") => new Stream("POST", `/exec/${id}/start`, upgrade, body);

  test("streams both ways", async () => {
    const id = await exec({ Cmd: ["cat"], AttachStdin: true });
    const { head, body } = await start(id).write("abc").endInput().end();
    expect(head).toContain("101 UPGRADED");
    expect((await unframe(body)).stdout).toBe("abc");
  });
  test("a terminal is raw", async () => {
    const id = await exec({ Cmd: ["echo", "hi"], Tty: true });
    const { head, body } = await start(id, '{"Tty":true,"ConsoleSize":[24,80]}').end();
    expect(head).toContain("raw-stream");
    expect(body.toString()).toBe("hi\n");
    expect(server.fakes.calls.findLast(([name]) => name === "startExec")?.[2]).toEqual({
      detach: false,
      tty: true,
      consoleSize: [24, 80],
    });
  });
  test("a command that cannot run is told in the stream, its code by inspection", async () => {
    const id = await exec({ Cmd: ["nonexistent"] });
    const { head, body } = await start(id).end();
    expect(head).toContain("101 UPGRADED");
    expect((await unframe(body)).stdout).toEndWith("executable file not found in $PATH: unknown\r\n");
    expect((await server.ask("GET", `/exec/${id}/json`)).json).toMatchObject({ ExitCode: 127 });
  });
});

describe("attach over a websocket", () => {
  const open = (id: string, version = "1.45") =>
    new Promise<{ socket: WebSocket; messages: (string | ArrayBuffer)[]; closed: Promise<number> }>(
      (resolve, reject) => {
        const socket = new WebSocket(
          `ws+unix://${server.socket}:/v${version}/containers/${id}/attach/ws?${all}`,
        );
        socket.binaryType = "arraybuffer";
        const messages: (string | ArrayBuffer)[] = [];
        const closed = Promise.withResolvers<number>();
        socket.onmessage = (event) => messages.push(event.data as string | ArrayBuffer);
        socket.onclose = (event) => closed.resolve(event.code);
        socket.onerror = () => reject(new Error("websocket failed"));
        socket.onopen = () => resolve({ socket, messages, closed: closed.promise });
      },
    );

  test("messages are stdin, output comes as binary messages without frames", async () => {
    const id = await container({ Cmd: ["cat"], Tty: true });
    await server.ask("POST", `/containers/${id}/start`);
    const { socket, messages, closed } = await open(id);
    socket.send("hello");
    socket.send(new TextEncoder().encode("x".repeat(70_000)));
    socket.send("\x04");
    expect(await closed).toBe(1000);
    const text = messages.map((m) => (typeof m === "string" ? m : Buffer.from(m).toString())).join("");
    expect(text).toBe(`hello${"x".repeat(70_000)}`);
    expect(messages.every((m) => typeof m !== "string")).toBe(true);
  });
  test("text messages before 1.28", async () => {
    const id = await container({ Cmd: ["cat"], Tty: true });
    await server.ask("POST", `/containers/${id}/start`);
    const { socket, messages, closed } = await open(id, "1.27");
    socket.send("hi");
    socket.send("\x04");
    await closed;
    expect(messages).toEqual(["hi"]);
  });
  test("an unknown container is an ordinary error", async () => {
    const stream = new Stream("GET", `/containers/none/attach/ws?${all}`, [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    await stream.until("No such container");
    expect(stream.bytes.toString()).toStartWith("HTTP/1.1 404");
    stream.destroy();
  });
  test("what is no handshake is refused", async () => {
    const reply = await server.ask("GET", `/containers/x/attach/ws?${all}`);
    expect([reply.status, reply.json]).toEqual([400, { message: "not a websocket handshake" }]);
  });
  test("an unmasked frame ends the connection with a protocol error", async () => {
    const id = await container({ Cmd: ["cat"], Tty: true });
    await server.ask("POST", `/containers/${id}/start`);
    const stream = new Stream("GET", `/containers/${id}/attach/ws?${all}`, [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    await stream.until("\r\n\r\n");
    const { head, body } = await stream.write(new Uint8Array([0x82, 1, 65])).end();
    expect(head).toContain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    expect([...body.subarray(0, 4)]).toEqual([0x88, 2, 1002 >> 8, 1002 & 255]);
  });
});
