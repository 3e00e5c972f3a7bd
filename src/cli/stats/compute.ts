import type { ContainerStatsResponse } from "../../base/spec/docker/api.gen.ts";

/** One line of `stats`, as numbers. `known` is false while nothing was measured. */
export interface StatsRow {
  readonly container: string;
  readonly id: string;
  readonly name: string;
  readonly known: boolean;
  readonly cpuPercent: number;
  readonly memory: number;
  readonly memoryLimit: number;
  readonly memoryPercent: number;
  readonly received: number;
  readonly sent: number;
  readonly read: number;
  readonly written: number;
  readonly pids: number;
}

/** Turns a raw sample into what people read (API docs, "Get container stats based on resource usage", the formulas). */
export function computeStats(
  sample: ContainerStatsResponse,
  container: string,
  before?: ContainerStatsResponse,
): StatsRow {
  const stats = sample.memory_stats ?? {};
  const memory = used(stats.usage ?? 0, stats.stats ?? {});
  const limit = stats.limit ?? 0;
  const networks = Object.values(sample.networks ?? {});
  const io = sample.blkio_stats?.io_service_bytes_recursive ?? [];
  const bytes = (op: string) =>
    io.filter((item) => item?.op?.toLowerCase() === op).reduce((sum, item) => sum + (item?.value ?? 0), 0);
  return {
    container,
    id: sample.id ?? "",
    name: (sample.name ?? "").replace(/^\//, ""),
    known: sample.read !== undefined && !sample.read.startsWith("0001"),
    cpuPercent: cpuPercent(sample, before),
    memory,
    memoryLimit: limit,
    memoryPercent: limit > 0 ? (memory / limit) * 100 : 0,
    received: networks.reduce((sum, network) => sum + (network?.rx_bytes ?? 0), 0),
    sent: networks.reduce((sum, network) => sum + (network?.tx_bytes ?? 0), 0),
    read: bytes("read"),
    written: bytes("write"),
    pids: sample.pids_stats?.current ?? 0,
  };
}

/** Without the file cache that the kernel gives back when it must: cgroup v1 and v2 name it differently. */
function used(usage: number, stats: Readonly<Record<string, number | null>>): number {
  const cache = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return cache < usage ? usage - cache : usage;
}

function cpuPercent(sample: ContainerStatsResponse, before: ContainerStatsResponse | undefined): number {
  const now = sample.cpu_stats;
  const then = sample.precpu_stats?.system_cpu_usage
    ? sample.precpu_stats
    : (before?.cpu_stats ?? sample.precpu_stats);
  const spent = (now?.cpu_usage?.total_usage ?? 0) - (then?.cpu_usage?.total_usage ?? 0);
  const passed = (now?.system_cpu_usage ?? 0) - (then?.system_cpu_usage ?? 0);
  const cpus = now?.online_cpus || (now?.cpu_usage?.percpu_usage?.length ?? 0);
  return spent > 0 && passed > 0 ? (spent / passed) * cpus * 100 : 0;
}
