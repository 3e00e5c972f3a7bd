import type { Clock } from "../base/lib/clock.ts";
import { digestOfValue } from "./canonical.ts";
import type { ProgressSink } from "./progress.ts";

/** What a build does beside its vertices, told as if it were one: looking up names, exporting. */
export class Activity {
  readonly digest;
  readonly #clock: Clock;
  readonly #progress: ProgressSink;
  readonly #name: string;
  readonly #started: bigint;

  constructor(clock: Clock, progress: ProgressSink, name: string) {
    this.#clock = clock;
    this.#progress = progress;
    this.#name = name;
    this.#started = this.#now();
    this.digest = digestOfValue({ step: name, at: String(this.#started) });
    this.#tell(undefined, undefined);
  }

  /** Runs a named part of it. */
  async part<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
    const started = this.#now();
    const tell = (completed: bigint | undefined) =>
      this.#progress.status({
        id: name,
        vertex: this.digest,
        name,
        current: 0,
        total: 0,
        started,
        completed,
      });
    tell(undefined);
    const value = await work();
    tell(this.#now());
    return value;
  }

  done(error?: unknown): void {
    this.#tell(
      this.#now(),
      error === undefined ? undefined : error instanceof Error ? error.message : String(error),
    );
  }

  #tell(completed: bigint | undefined, error: string | undefined): void {
    this.#progress.vertex({
      digest: this.digest,
      inputs: [],
      name: this.#name,
      cached: false,
      started: this.#started,
      completed,
      error,
    });
  }

  #now(): bigint {
    return BigInt(Math.trunc(this.#clock.now() * 1000)) * 1000n;
  }
}
