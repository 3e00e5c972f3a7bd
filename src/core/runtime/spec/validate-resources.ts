import { invalid } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { CgroupFeatures, HostFacts } from "../spec.ts";

const MIN_MEMORY = 6 * 1024 * 1024;

/**
 * Checks the resource settings of a request as dockerd does, text for text, and drops with a warning what this kernel cannot
 * do. `update` allows a swap limit alone: the memory limit may have been set before.
 */
export function validateResources(
  asked: HostConfig,
  facts: HostFacts,
  options: { readonly update: boolean },
): { readonly host: HostConfig; readonly warnings: readonly string[] } {
  const host: HostConfig = { ...asked };
  const warnings: string[] = [];
  const state: Validation = { host, facts, features: facts.cgroupFeatures, warnings };
  memory(state, options.update);
  cpu(state);
  cpusets(state);
  blockIO(state);
  if (host.PidsLimit !== undefined && host.PidsLimit !== null && !state.features.pids) {
    if (host.PidsLimit > 0) lacks(warnings, "PIDs limit", "PIDs limit discarded.");
    delete host.PidsLimit;
  }
  return { host, warnings };
}

interface Validation {
  readonly host: HostConfig;
  readonly facts: HostFacts;
  readonly features: CgroupFeatures;
  readonly warnings: string[];
}

function lacks(warnings: string[], what: string, then: string): void {
  warnings.push(`Your kernel does not support ${what} capabilities or the cgroup is not mounted. ${then}`);
}

function memory({ host, features, warnings }: Validation, update: boolean): void {
  const limit = () => host.Memory ?? 0;
  const swap = () => host.MemorySwap ?? 0;
  if (limit() !== 0 && limit() < MIN_MEMORY) throw invalid("Minimum memory limit allowed is 6MB");
  if (limit() > 0 && !features.memory) {
    lacks(warnings, "memory limit", "Limitation discarded.");
    delete host.Memory;
    host.MemorySwap = -1;
  }
  if (limit() > 0 && swap() !== -1 && !features.swap) {
    lacks(warnings, "swap limit", "Memory limited without swap.");
    host.MemorySwap = -1;
  }
  if (limit() > 0 && swap() > 0 && swap() < limit())
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  if (limit() === 0 && swap() > 0 && !update)
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  if (host.MemorySwappiness === -1 || host.MemorySwappiness === null) delete host.MemorySwappiness;
  if (host.MemorySwappiness !== undefined && !features.swappiness) {
    lacks(warnings, "memory swappiness", "Memory swappiness discarded.");
    delete host.MemorySwappiness;
  }
  const swappiness = host.MemorySwappiness;
  if (swappiness !== undefined && (swappiness < 0 || swappiness > 100))
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  reservation({ host, features, warnings });
  if (host.OomKillDisable !== undefined && !features.oomKillDisable) {
    if (host.OomKillDisable)
      warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    delete host.OomKillDisable;
  }
  if (host.OomKillDisable && limit() === 0)
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
}

function reservation({ host, features, warnings }: Pick<Validation, "host" | "features" | "warnings">): void {
  if ((host.MemoryReservation ?? 0) > 0 && !features.memoryReservation) {
    lacks(warnings, "memory soft limit", "Limitation discarded.");
    delete host.MemoryReservation;
  }
  const soft = host.MemoryReservation ?? 0;
  if (soft > 0 && soft < MIN_MEMORY) throw invalid("Minimum memory reservation allowed is 6MB");
  if ((host.Memory ?? 0) > 0 && soft > 0 && (host.Memory ?? 0) < soft)
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
}

function cpu({ host, facts, features, warnings }: Validation): void {
  const nano = host.NanoCpus ?? 0;
  if (nano > 0 && (host.CpuPeriod ?? 0) > 0)
    throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (nano > 0 && (host.CpuQuota ?? 0) > 0)
    throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (nano > 0 && !features.cpuCfs)
    throw invalid(
      "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
    );
  if (nano < 0 || nano > facts.cpus * 1e9)
    throw invalid(
      `range of CPUs is from 0.01 to ${facts.cpus}.00, as there are only ${facts.cpus} CPUs available`,
    );
  if ((host.CpuShares ?? 0) < 0 && features.cpuShares)
    throw invalid(`invalid CPU shares (${host.CpuShares}): value must be a positive integer`);
  if ((host.CpuShares ?? 0) > 0 && !features.cpuShares) {
    warnings.push("Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.");
    delete host.CpuShares;
  }
  if ((host.CpuPeriod || host.CpuQuota) && !features.cpuCfs) {
    warnings.push("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
    delete host.CpuPeriod;
    delete host.CpuQuota;
  }
  const period = host.CpuPeriod ?? 0;
  if (period !== 0 && (period < 1000 || period > 1_000_000))
    throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  if ((host.CpuQuota ?? 0) > 0 && (host.CpuQuota ?? 0) < 1000)
    throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if ((host.CpuRealtimePeriod || host.CpuRealtimeRuntime) && !features.cpuRealtime)
    throw invalid("kernel does not support CPU real-time scheduler");
  const runtime = host.CpuRealtimeRuntime ?? 0;
  const realtimePeriod = host.CpuRealtimePeriod ?? 0;
  if (runtime !== 0 && realtimePeriod !== 0 && runtime > realtimePeriod)
    throw invalid("cpu real-time runtime cannot be higher than cpu real-time period");
  if ((host.CpuPercent ?? 0) > 0) {
    warnings.push("linux does not support CPU percent. Percent discarded.");
    delete host.CpuPercent;
  }
  // dockerd is silent about this one.
  if ((host.CpuCount ?? 0) > 0) {
    warnings.push("linux does not support CPU count. Count discarded.");
    delete host.CpuCount;
  }
}

function cpusets({ host, facts, features, warnings }: Validation): void {
  if ((host.CpusetCpus || host.CpusetMems) && !features.cpuset) {
    warnings.push("Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.");
    delete host.CpusetCpus;
    delete host.CpusetMems;
  }
  const check = (wanted: string | undefined, available: string, what: string, label: string) => {
    if (!wanted) return;
    const asked = parseCpuset(wanted);
    if (!asked) throw invalid(`Invalid value ${wanted} for cpuset ${what}: invalid format: ${wanted}`);
    const there = parseCpuset(available) ?? new Set();
    if ([...asked].some((number) => !there.has(number)))
      throw invalid(`Requested ${label} are not available - requested ${wanted}, available: ${available}`);
  };
  check(host.CpusetCpus, facts.cpusetCpus, "cpus", "CPUs");
  check(host.CpusetMems, facts.cpusetMems, "mems", "memory nodes");
}

/** "0-2,7" as numbers; undefined when it is malformed. */
function parseCpuset(text: string): ReadonlySet<number> | undefined {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part);
    if (!match) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first) return undefined;
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return numbers;
}

function blockIO({ host, features, warnings }: Validation): void {
  const discard = (what: string, then: string) =>
    warnings.push(`Your kernel does not support ${what} or the cgroup is not mounted. ${then}`);
  if ((host.BlkioWeight ?? 0) > 0 && !features.blkioWeight) {
    discard("Block I/O weight", "Weight discarded.");
    delete host.BlkioWeight;
  }
  const weight = host.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000))
    throw invalid("Range of blkio weight is from 10 to 1000");
  const alien = (host.IOMaximumBandwidth && "bandwidth") || (host.IOMaximumIOps && "IOPs");
  if (alien) throw invalid(`invalid option: QoS maximum ${alien} configuration is not supported on linux`);
  for (const device of host.BlkioWeightDevice ?? [])
    if ((device.Weight ?? 0) !== 0 && ((device.Weight ?? 0) < 10 || (device.Weight ?? 0) > 1000))
      throw invalid("Range of blkio weight is from 10 to 1000");
  const lists = [
    ["BlkioWeightDevice", features.blkioWeightDevice, "Block I/O weight_device", "Weight-device discarded."],
    [
      "BlkioDeviceReadBps",
      features.blkioReadBps,
      "BPS Block I/O read limit",
      "Block I/O BPS read limit discarded.",
    ],
    [
      "BlkioDeviceWriteBps",
      features.blkioWriteBps,
      "BPS Block I/O write limit",
      "Block I/O BPS write limit discarded.",
    ],
    [
      "BlkioDeviceReadIOps",
      features.blkioReadIops,
      "IOPS Block read limit",
      "Block I/O IOPS read limit discarded.",
    ],
    [
      "BlkioDeviceWriteIOps",
      features.blkioWriteIops,
      "IOPS Block write limit",
      "Block I/O IOPS write limit discarded.",
    ],
  ] as const;
  for (const [member, supported, what, then] of lists) {
    if ((host[member]?.length ?? 0) === 0 || supported) continue;
    discard(what, then);
    delete host[member];
  }
}
