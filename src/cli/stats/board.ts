import type { Client } from "../../client/client.ts";
import { containerStats } from "../../client/containers/stats.ts";
import { computeStats, type StatsRow } from "./compute.ts";

interface Slot {
  readonly name: string;
  readonly stop: AbortController;
  readonly first: Promise<void>;
  row: StatsRow;
  failure: unknown;
  finished: boolean;
}

/** The last sample of each container, kept fresh by a stream for each. */
export class StatsBoard {
  readonly #client: Client;
  readonly #signal: AbortSignal;
  readonly #stream: boolean;
  readonly #slots = new Map<string, Slot>();

  constructor(client: Client, signal: AbortSignal, stream: boolean) {
    this.#client = client;
    this.#signal = signal;
    this.#stream = stream;
  }

  add(name: string): void {
    const old = this.#slots.get(name);
    if (old && !old.finished) return;
    const first = Promise.withResolvers<void>();
    const slot: Slot = {
      name,
      stop: new AbortController(),
      first: first.promise,
      row: computeStats({}, name),
      failure: undefined,
      finished: false,
    };
    this.#slots.set(name, slot);
    this.#pump(slot, first.resolve).catch((error: unknown) => {
      if (!slot.stop.signal.aborted) slot.failure = error;
      slot.finished = true;
      first.resolve();
    });
  }

  remove(name: string): void {
    this.#slots.get(name)?.stop.abort();
    this.#slots.delete(name);
  }

  /** Waits until every container gave a sample or failed. */
  async firstSamples(): Promise<void> {
    await Promise.all([...this.#slots.values()].map((slot) => slot.first));
  }

  rows(): StatsRow[] {
    return [...this.#slots.values()].map((slot) => slot.row);
  }

  failures(): unknown[] {
    return [...this.#slots.values()].map((slot) => slot.failure);
  }

  finished(): boolean {
    return [...this.#slots.values()].every((slot) => slot.finished);
  }

  async #pump(slot: Slot, sampled: () => void): Promise<void> {
    const signal = AbortSignal.any([this.#signal, slot.stop.signal]);
    const samples = await containerStats(this.#client, slot.name, { stream: this.#stream, signal });
    let previous: Parameters<typeof computeStats>[2];
    for await (const sample of samples) {
      slot.row = computeStats(sample, slot.name, previous);
      previous = sample;
      // The first sample of a stream has nothing before it to compute a share of CPU from.
      if (
        !this.#stream ||
        (sample.precpu_stats?.system_cpu_usage ?? 0) > 0 ||
        sample.read?.startsWith("0001")
      )
        sampled();
    }
    slot.finished = true;
    sampled();
  }
}
