import type { Clock } from "../../../../base/lib/clock.ts";
import { conflict, invalid, notFound } from "../../../../base/lib/errors.ts";
import type { ByteStream } from "../../../../base/rpc/bytes.ts";
import { openRpc } from "../../../../base/rpc/client.ts";
import type { SessionHello } from "./hello.ts";
import { RemoteSession } from "./remote-session.ts";

/** A build may name a session before its connection is there. */
const waitMs = 5_000;
/** Sessions open at a time. */
const limit = 1_000;

/** Sessions of clients, by id, for as long as their connections last. */
export class Sessions {
  readonly #clock: Clock;
  readonly #open = new Map<string, RemoteSession>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Throws what the client should hear before its connection is taken over. */
  check(hello: SessionHello): void {
    if (hello.id === "" || hello.id.length > 256) throw invalid("invalid session: it has no ID");
    if (this.#open.has(hello.id)) throw conflict(`session ${hello.id} already exists`);
    if (this.#open.size >= limit) throw conflict(`too many sessions: ${limit} are open`);
  }

  /** Keeps the session until its connection ends. */
  async serve(hello: SessionHello, bytes: ByteStream): Promise<void> {
    this.check(hello);
    await using rpc = openRpc(bytes);
    const session = new RemoteSession(rpc, hello);
    this.#open.set(hello.id, session);
    for (const wake of this.#waiting.get(hello.id) ?? []) wake();
    await rpc.closed;
    this.#open.delete(hello.id);
    session.end();
  }

  /** The session of that id; waits some seconds for it to connect. */
  async get(id: string, signal: AbortSignal): Promise<RemoteSession> {
    const now = this.#open.get(id);
    if (now) return now;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = new AbortController();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    try {
      const until = AbortSignal.any([signal, stop.signal]);
      await Promise.race([promise, this.#clock.sleep(waitMs, until)]);
    } finally {
      stop.abort();
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(id);
    }
    const session = this.#open.get(id);
    if (!session) throw notFound(`no active session for ${id}: context deadline exceeded`);
    return session;
  }
}
