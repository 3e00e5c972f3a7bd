import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../base/lib/log.ts";
import type { Backends } from "../backend.ts";
import type { ApiOptions } from "../options.ts";
import { type Api, createApi } from "../server.ts";
import { FakeBackends } from "./backends.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** The whole API over fakes on a unix socket of its own. */
export class FakeServer implements AsyncDisposable {
  readonly fakes = new FakeBackends();
  readonly socket: string;
  readonly api: Api;
  readonly #directory: string;
  readonly #listener;

  /** `more` stands in for, or beside, the fakes; `routes` are those of another part. */
  constructor(more: Partial<Backends> = {}, options: Pick<Partial<ApiOptions>, "routes" | "about"> = {}) {
    this.#directory = mkdtempSync(join(tmpdir(), "tug-api-"));
    this.socket = join(this.#directory, "docker.sock");
    this.api = createApi({
      backends: { ...this.fakes.backends, ...more },
      about: { version: "0.1.0", builder: "1", experimental: false },
      log: silentLog,
      ...options,
    });
    this.#listener = this.api.listen({ kind: "unix", path: this.socket });
  }

  get host(): string {
    return `unix://${this.socket}`;
  }

  /** The last call that reached a backend. */
  get last(): readonly [string, ...unknown[]] | undefined {
    return this.fakes.calls.at(-1);
  }

  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const raw = typeof body === "string" || body === undefined;
    const response = await fetch(`http://d${path}`, {
      method,
      unix: this.socket,
      redirect: "manual",
      headers: { ...(raw ? {} : { "Content-Type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parse(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close(0);
    rmSync(this.#directory, { recursive: true });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
