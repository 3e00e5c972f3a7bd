import { totalmem } from "node:os";
import type {
  ContainerBlkioStatEntry,
  ContainerCPUStats,
  ContainerNetworkStats,
  ContainerStatsResponse,
} from "../../base/spec/docker/api.gen.ts";
import type { BlkioEntry, CgroupStats } from "../../core/runtime/stats.ts";
import { zeroTime } from "../containers/record.ts";

/** Everything one sample is made from. */
export interface StatsSample {
  /** RFC 3339. */
  readonly read: string;
  readonly cgroup: CgroupStats;
  readonly host: { readonly total: number; readonly online: number };
  readonly networks: Readonly<Record<string, ContainerNetworkStats>> | undefined;
}

/** Docker says "no limit" with the largest 64-bit number; the next larger double would overflow Go's uint64. */
const unlimited = 2 ** 64 - 2048;

const noCpu: ContainerCPUStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

/** A sample, and the one before it for the rates that clients compute, in the API's shape. Pure. */
export function statsResponse(
  container: { readonly id: string; readonly name: string },
  sample: StatsSample | undefined,
  before: StatsSample | undefined,
): ContainerStatsResponse {
  const shared = { name: `/${container.name}`, id: container.id, os_type: "linux" };
  if (!sample) {
    return {
      ...shared,
      read: zeroTime,
      preread: zeroTime,
      pids_stats: {},
      blkio_stats: blkio([], []),
      num_procs: 0,
      storage_stats: {},
      cpu_stats: noCpu,
      precpu_stats: noCpu,
      memory_stats: {},
    };
  }
  const { memory, pids, blkio: io } = sample.cgroup;
  return {
    ...shared,
    read: sample.read,
    preread: before?.read ?? zeroTime,
    pids_stats: {
      current: pids.current,
      ...pidsLimit(pids.limit, memory.failures !== undefined),
    },
    // Only cgroup v1 counts failures; there Docker sends empty lists where v2 has null.
    blkio_stats: blkio(io.bytes, io.operations, memory.failures === undefined ? null : []),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpu(sample),
    precpu_stats: before ? cpu(before) : noCpu,
    memory_stats: {
      usage: memory.usage,
      ...(memory.peak === undefined ? {} : { max_usage: memory.peak }),
      stats: { ...memory.stat },
      ...(memory.failures ? { failcnt: memory.failures } : {}),
      limit: Math.min(memory.limit, totalmem()),
    },
    ...(sample.networks ? { networks: { ...sample.networks } } : {}),
  };
}

/** Of cgroup v1's "max" Docker says nothing. */
function pidsLimit(limit: number, v1: boolean): { readonly limit?: number } {
  if (Number.isFinite(limit)) return { limit };
  return v1 ? {} : { limit: unlimited };
}

function cpu({ cgroup, host }: StatsSample): ContainerCPUStats {
  const { cpu: used } = cgroup;
  return {
    cpu_usage: {
      total_usage: Number(used.total),
      ...(used.perCpu.length > 0 ? { percpu_usage: used.perCpu.map(Number) } : {}),
      usage_in_kernelmode: Number(used.system),
      usage_in_usermode: Number(used.user),
    },
    system_cpu_usage: host.total,
    online_cpus: host.online,
    throttling_data: {
      periods: used.periods,
      throttled_periods: used.throttledPeriods,
      throttled_time: Number(used.throttled),
    },
  };
}

function blkio(
  bytes: readonly BlkioEntry[],
  operations: readonly BlkioEntry[],
  none: ContainerBlkioStatEntry[] | null = null,
) {
  const entries = (list: readonly BlkioEntry[]): ContainerBlkioStatEntry[] | null =>
    list.length > 0 ? list.map(({ major, minor, op, value }) => ({ major, minor, op, value })) : none;
  return {
    io_service_bytes_recursive: entries(bytes) as ContainerBlkioStatEntry[],
    io_serviced_recursive: entries(operations),
    io_queue_recursive: none,
    io_service_time_recursive: none,
    io_wait_time_recursive: none,
    io_merged_recursive: none,
    io_time_recursive: none,
    sectors_recursive: none,
  };
}
