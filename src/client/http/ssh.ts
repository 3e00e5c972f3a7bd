import { TugError } from "../../base/lib/errors.ts";
import { shellQuoted } from "../../base/lib/shell.ts";
import type { Address } from "../address.ts";
import { type Connection, Inbox } from "./connection.ts";

/**
 * Reaches a daemon through `ssh host tug system dial-stdio`, which joins its stdio to the socket there. Falls to `docker`
 * where tug is not installed on the far side.
 */
export function dialSsh(address: Extract<Address, { kind: "ssh" }>): Connection {
  const socket = address.socket === undefined ? "" : ` --host unix://${shellQuoted(address.socket)}`;
  const remote = `if command -v tug >/dev/null 2>&1; then exec tug${socket} system dial-stdio; else exec docker${socket} system dial-stdio; fi`;
  const child = Bun.spawn(["ssh", "-o", "ConnectTimeout=30", "-T", ...address.destination, remote], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  return new ProcessConnection(child, address.text);
}

/** A connection over the stdio of a child process. */
class ProcessConnection implements Connection {
  readonly #inbox = new Inbox();
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  #closed = false;
  #resume: (() => void) | undefined;

  constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">, text: string) {
    this.#child = child;
    let gate: Promise<void> | undefined;
    this.#inbox.pause = () => {
      gate = new Promise((resolve) => {
        this.#resume = resolve;
      });
    };
    this.#inbox.resume = () => this.#resume?.();
    const pump = async () => {
      for await (const chunk of child.stdout) {
        this.#inbox.push(chunk);
        await gate;
        gate = undefined;
      }
      const code = await child.exited;
      const failed = code !== 0 && !this.#closed;
      this.#inbox.end(
        failed ? new TugError("unavailable", `ssh to ${text} ended with exit status ${code}`) : undefined,
      );
    };
    pump().catch((error: unknown) =>
      this.#inbox.end(error instanceof Error ? error : new Error(String(error))),
    );
  }

  get closed(): boolean {
    return this.#closed || this.#inbox.ended;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    return this.#inbox.read();
  }

  unread(chunk: Uint8Array): void {
    this.#inbox.unread(chunk);
  }

  write(data: Uint8Array | string): Promise<void> | undefined {
    if (this.#closed)
      return Promise.reject(new TugError("unavailable", "the connection to the daemon was closed"));
    this.#child.stdin.write(data);
    const flushed = this.#child.stdin.flush();
    return flushed instanceof Promise ? flushed.then(() => undefined) : undefined;
  }

  shutdown(): void {
    this.#child.stdin.end();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#child.kill();
    this.#inbox.end();
  }
}
