import { notFound } from "../../base/lib/errors.ts";
import type { CreateRequest, ExecCreateRequest } from "../../base/spec/docker/requests.ts";
import type { StreamClient } from "../stream-client.ts";

/** A container of the fake: what it was created with, and whether it "runs". */
export interface FakeContainer {
  readonly id: string;
  name: string;
  readonly request: CreateRequest;
  running: boolean;
  exitCode: number;
  readonly exited: PromiseWithResolvers<number>;
  /** Resolves once somebody is attached. */
  readonly attached: PromiseWithResolvers<void>;
}

/** What the fakes of all route groups have in common: containers whose program is an echo, and a record of what was called. */
export class FakeEngine {
  readonly containers = new Map<string, FakeContainer>();
  readonly execs = new Map<
    string,
    { readonly container: string; readonly request: ExecCreateRequest; exitCode: number }
  >();
  /** Every call: its name and its arguments without the streams. */
  readonly calls: (readonly [string, ...unknown[]])[] = [];
  readonly sizes: (readonly [number, number])[] = [];
  #next = 1;

  id(): string {
    return (this.#next++).toString(16).padStart(64, "c");
  }

  /** What the next id begins from: part of names that nobody chose. */
  get next(): number {
    return this.#next;
  }

  find(name: string): FakeContainer {
    for (const container of this.containers.values()) {
      if (container.id.startsWith(name) || container.name === name.replace(/^\//, "")) return container;
    }
    throw notFound(`No such container: ${name}`);
  }

  log(name: string, ...values: unknown[]): void {
    this.calls.push([name, ...values]);
  }

  /** The echo program: stdout is what comes on stdin, or the command's words. */
  async program(command: readonly string[], tty: boolean, client: StreamClient): Promise<number> {
    const [name, ...words] = command;
    const encode = (text: string) => new TextEncoder().encode(text);
    if (name === "fail") {
      await client.write(tty ? "stdout" : "stderr", encode("failed\n"));
      return Number(words[0] ?? 1);
    }
    if (name === "spout") {
      const chunk = new Uint8Array(8192).fill(97);
      for (let left = Number(words[0]); left > 0; left -= chunk.length) await client.write("stdout", chunk);
      return 0;
    }
    if (name === "count" && client.stdin) {
      let total = 0;
      for await (const piece of client.stdin) total += piece.length;
      await client.write("stdout", encode(`${total}\n`));
      return 0;
    }
    if (client.stdin) {
      for await (const piece of client.stdin) {
        if (tty && piece.includes(4)) break;
        await client.write("stdout", piece);
      }
      return 0;
    }
    await client.write("stdout", encode(`${words.join(" ")}\n`));
    return 0;
  }

  stop(container: FakeContainer, code: number): void {
    if (!container.running) return;
    container.running = false;
    container.exitCode = code;
    container.exited.resolve(code);
    if (container.request.HostConfig?.AutoRemove) this.containers.delete(container.id);
  }
}
