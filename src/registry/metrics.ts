import { totals } from "./records/listings.ts";
import type { Records } from "./records/records.ts";

/** Upper bounds of the duration buckets in seconds. */
const bounds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Counters of one process in Prometheus' text format (version 0.0.4). Labels come from the program, never from a client. */
export class RegistryMetrics {
  readonly #requests = new Map<string, number>();
  readonly #durations = new Map<string, Histogram>();
  readonly #counters = new Map<string, number>();
  #in = 0;
  #out = 0;

  received(bytes: number): void {
    this.#in += bytes;
  }

  sent(bytes: number): void {
    this.#out += bytes;
  }

  /** A request that was answered. */
  answered(route: string, method: string, status: number, seconds: number): void {
    const key = `route="${route}",method="${method}",code="${status}"`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
    let histogram = this.#durations.get(route);
    if (!histogram) {
      histogram = { counts: bounds.map(() => 0), sum: 0, count: 0 };
      this.#durations.set(route, histogram);
    }
    const { counts } = histogram;
    bounds.forEach((bound, index) => {
      if (seconds <= bound) counts[index] = (counts[index] ?? 0) + 1;
    });
    histogram.sum += seconds;
    histogram.count++;
  }

  /** Adds to a counter named after what is counted, "cache_hits" for `tug_registry_cache_hits_total`. */
  count(name: string, amount = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + amount);
  }

  render(records: Records, gauges: Readonly<Record<string, number>>): string {
    const lines: string[] = [];
    const family = (name: string, kind: string, rows: readonly string[]) => {
      lines.push(`# TYPE tug_registry_${name} ${kind}`, ...rows.map((row) => `tug_registry_${name}${row}`));
    };
    family(
      "requests_total",
      "counter",
      [...this.#requests].map(([labels, value]) => `{${labels}} ${value}`),
    );
    lines.push("# TYPE tug_registry_request_duration_seconds histogram");
    for (const [route, histogram] of this.#durations) {
      const name = "tug_registry_request_duration_seconds";
      bounds.forEach((bound, index) => {
        lines.push(`${name}_bucket{route="${route}",le="${bound}"} ${histogram.counts[index]}`);
      });
      lines.push(
        `${name}_bucket{route="${route}",le="+Inf"} ${histogram.count}`,
        `${name}_sum{route="${route}"} ${histogram.sum}`,
        `${name}_count{route="${route}"} ${histogram.count}`,
      );
    }
    family("blob_received_bytes_total", "counter", [` ${this.#in}`]);
    family("blob_sent_bytes_total", "counter", [` ${this.#out}`]);
    for (const [name, value] of this.#counters) family(`${name}_total`, "counter", [` ${value}`]);
    const { repositories, blobs, bytes } = totals(records);
    const now = { repositories, blobs, storage_bytes: bytes, ...gauges };
    for (const [name, value] of Object.entries(now)) family(name, "gauge", [` ${value}`]);
    return `${lines.join("\n")}\n`;
  }
}
