import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Exchange } from "../../base/http/exchange.ts";
import type { ReplyHeaders } from "../../base/http/head.ts";
import { systemClock } from "../../base/lib/clock.ts";
import { TugError } from "../../base/lib/errors.ts";
import { silentLog } from "../../base/lib/log.ts";
import { FileContentStore } from "../../core/content/file-store.ts";
import { openAccess } from "../auth/access.ts";
import { openRegistry, type RegistryDeps } from "../registry.ts";
import { fileStorage } from "../storage/file-storage.ts";

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A registry in a directory of its own, asked without a network; its clock is moved by hand. */
export function openTestRegistry(more: Partial<RegistryDeps> = {}) {
  const root = mkdtempSync(join(tmpdir(), "tug-registry-unit-"));
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  const content = new FileContentStore({ root: join(root, "content") });
  const registry = openRegistry({
    root,
    storage: fileStorage(content),
    access: openAccess,
    quotas: [],
    cached: [],
    webhooks: [],
    garbage: { graceMs: 3_600_000, untaggedAfterMs: 86_400_000, uploadAfterMs: 86_400_000, unused: [] },
    settings: { readOnly: false, deleteEnabled: true, graceMs: 3_600_000, stallMs: 60_000, pages: true, metrics: true },
    clock,
    log: silentLog,
    ...more,
  });
  return {
    ...registry,
    root,
    content,
    advance: (ms: number) => {
      ahead += ms;
    },
    ask: async (
      method: string,
      target: string,
      body: Uint8Array | string = "",
      headers: Readonly<Record<string, string>> = {},
    ): Promise<Reply> => {
      const { exchange, reply } = exchangeOf(method, target, Buffer.from(body), headers);
      await registry.handler(exchange);
      return reply();
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function exchangeOf(method: string, target: string, body: Buffer, headers: Readonly<Record<string, string>>) {
  const question = target.indexOf("?");
  let status = 0;
  let sent: ReplyHeaders = {};
  const parts: Buffer[] = [];
  const begin = (code: number, given: ReplyHeaders) => {
    if (status !== 0) throw new Error("two replies");
    status = code;
    sent = given;
  };
  const exchange: Exchange = {
    method,
    path: decodeURIComponent(question < 0 ? target : target.slice(0, question)),
    search: question < 0 ? "" : target.slice(question + 1),
    headers: new Map(Object.entries({ host: "registry.test", ...headers })),
    body: {
      length: body.length,
      stream: () =>
        new ReadableStream<Uint8Array>({
          start: (controller) => {
            if (body.length > 0) controller.enqueue(body);
            controller.close();
          },
        }),
      bytes: async (limit) => {
        if (body.length > limit) throw new TugError("invalid-argument", "http: request body too large");
        return body;
      },
    },
    signal: new AbortController().signal,
    get headSent() {
      return status !== 0;
    },
    send: (code, given, bytes = "") => {
      begin(code, given);
      parts.push(Buffer.from(bytes));
    },
    stream: (code, given) => {
      begin(code, given);
      return { write: async (bytes) => void parts.push(Buffer.from(bytes)), end: () => undefined };
    },
    hijack: () => {
      throw new Error("nothing is hijacked here");
    },
  };
  return {
    exchange,
    reply: (): Reply => ({
      status,
      headers: Object.fromEntries(Object.entries(sent).map(([name, value]) => [name.toLowerCase(), String(value)])),
      body: Buffer.concat(parts),
    }),
  };
}
