import { hostname } from "node:os";
import type { Clock } from "../../base/lib/clock.ts";
import { messageOf } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { Signal } from "../../base/lib/signal.ts";
import type { RegistryMetrics } from "../metrics.ts";
import type { Records } from "../records/records.ts";
import { envelope } from "./envelope.ts";
import type { Notifier, RegistryEvent } from "./notifier.ts";

export interface WebhookEndpoint {
  /** Tells endpoints apart in the queue, the log and the metrics. */
  readonly name: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly actions: ReadonlySet<RegistryEvent["action"]>;
  readonly timeoutMs: number;
}

interface Deps {
  readonly records: Pick<Records, "uploads">;
  readonly endpoints: readonly WebhookEndpoint[];
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly log: Log;
  /** "https://registry.example": where clients reach the registry, when that is not what their Host header says, in plain HTTP. */
  readonly origin: string | undefined;
  /** Events one endpoint may have waiting; more are lost, and counted. */
  readonly queueLimit: number;
  /** Milliseconds until the first retry; doubled for each next one, to at most five minutes. */
  readonly retryMs: number;
}

const longestRetryMs = 5 * 60_000;

/**
 * Tells endpoints what happened, in the order in which it happened, each event until it was taken (2xx). The queue is a table: it outlives
 * the process. An endpoint that is slow or down delays only its own events.
 */
export class Webhooks implements Notifier, AsyncDisposable {
  readonly #deps: Deps;
  readonly #waiting = new Map<string, number>();
  readonly #more = new Signal();
  readonly #stop = new AbortController();
  readonly #senders: readonly Promise<void>[];

  constructor(deps: Deps) {
    this.#deps = deps;
    for (const { name } of deps.endpoints) {
      const row = deps.records.uploads
        .query<{ count: number }, [string]>("SELECT count(*) AS count FROM event WHERE endpoint = ?")
        .get(name);
      this.#waiting.set(name, row?.count ?? 0);
    }
    this.#senders = deps.endpoints.map((endpoint) => this.#send(endpoint));
  }

  get waiting(): number {
    return [...this.#waiting.values()].reduce((sum, each) => sum + each, 0);
  }

  notify(event: RegistryEvent): void {
    let body: string | undefined;
    for (const { name, actions } of this.#deps.endpoints) {
      if (!actions.has(event.action)) continue;
      const waiting = this.#waiting.get(name) ?? 0;
      if (waiting >= this.#deps.queueLimit) {
        this.#deps.metrics.count("webhook_events_lost");
        continue;
      }
      body ??= JSON.stringify(
        envelope(event, { host: hostname(), now: this.#deps.clock.now(), origin: this.#deps.origin }),
      );
      try {
        this.#deps.records.uploads.query("INSERT INTO event (endpoint, body) VALUES (?, ?)").run(name, body);
        this.#waiting.set(name, waiting + 1);
      } catch (error) {
        // The push or pull itself has succeeded.
        this.#deps.metrics.count("webhook_events_lost");
        this.#deps.log.error("an event was not queued", { endpoint: name, error });
      }
    }
    if (body !== undefined) this.#more.notify();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#senders);
  }

  async #send(endpoint: WebhookEndpoint): Promise<void> {
    const { records, clock, metrics, log } = this.#deps;
    const stop = this.#stop.signal;
    for (let failures = 0; !stop.aborted; ) {
      const seen = this.#more.version;
      const event = records.uploads
        .query<{ id: number; body: string }, [string]>(
          "SELECT id, body FROM event WHERE endpoint = ? ORDER BY id LIMIT 1",
        )
        .get(endpoint.name);
      if (!event) {
        await this.#more.wait(seen, stop);
        continue;
      }
      const problem = await post(endpoint, event.body, stop);
      if (stop.aborted) return;
      if (problem === undefined) {
        failures = 0;
        records.uploads.query("DELETE FROM event WHERE id = ?").run(event.id);
        this.#waiting.set(endpoint.name, Math.max(0, (this.#waiting.get(endpoint.name) ?? 1) - 1));
        metrics.count("webhook_events_sent");
        continue;
      }
      const wait = Math.min(this.#deps.retryMs * 2 ** Math.min(failures++, 20), longestRetryMs);
      metrics.count("webhook_failures");
      log.warn("a webhook was not taken", { endpoint: endpoint.name, problem, retryMs: wait });
      await clock.sleep(wait, stop).catch(() => undefined); // aborted: the loop ends
    }
  }
}

/** Why the endpoint did not take it, or undefined. */
async function post(endpoint: WebhookEndpoint, body: string, stop: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(endpoint.url, {
      method: "POST",
      redirect: "manual",
      headers: { "Content-Type": "application/vnd.docker.distribution.events.v2+json", ...endpoint.headers },
      body,
      signal: AbortSignal.any([stop, AbortSignal.timeout(endpoint.timeoutMs)]),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `HTTP status ${response.status}`;
  } catch (error) {
    return messageOf(error);
  }
}
