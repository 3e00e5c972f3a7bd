import { invalid } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { HostFacts } from "../../../core/runtime/spec.ts";

const leastMemory = 6 * 1024 * 1024;

/**
 * Checks limits against each other and against this host, and returns the host config without those the host cannot
 * keep, each with Docker's warning. Pure; used by create and update.
 */
export function checkResources<T extends HostConfig>(
  asked: T,
  facts: HostFacts,
): { readonly host: T; readonly warnings: readonly string[] } {
  const host = { ...asked };
  const warnings: string[] = [];
  const has = (controller: string) => facts.controllers.includes(controller);
  const discard = (names: readonly (keyof HostConfig)[], warning: string) => {
    if (!names.some((name) => Boolean(host[name]))) return;
    for (const name of names) if (host[name]) Reflect.deleteProperty(host, name);
    warnings.push(warning);
  };
  const memory = host.Memory ?? 0;
  const swap = host.MemorySwap ?? 0;
  const reservation = host.MemoryReservation ?? 0;
  if (memory !== 0 && memory < leastMemory) throw invalid("Minimum memory limit allowed is 6MB");
  if (memory > 0 && swap > 0 && swap < memory) {
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (memory === 0 && swap > 0) {
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  const swappiness = host.MemorySwappiness;
  if (swappiness !== undefined && swappiness !== null && (swappiness < -1 || swappiness > 100)) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (reservation > 0 && reservation < leastMemory) {
    throw invalid("Minimum memory reservation allowed is 6MB");
  }
  if (memory > 0 && memory < reservation) {
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  if (!has("memory")) {
    discard(
      ["Memory", "MemorySwap", "MemoryReservation", "MemorySwappiness", "OomKillDisable"],
      "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
    );
  }
  if (host.OomKillDisable && memory === 0) {
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  }
  if (facts.cgroup === "v2") {
    discard(["OomKillDisable"], "Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    if ((host.MemorySwappiness ?? -1) >= 0) {
      Reflect.deleteProperty(host, "MemorySwappiness");
      warnings.push(
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
      );
    }
  }
  checkCpu(host, facts);
  if (!has("cpu")) {
    discard(
      ["NanoCpus", "CpuShares", "CpuPeriod", "CpuQuota"],
      "Your kernel does not support CPU cfs period/quota or the cgroup is not mounted. Limitation discarded.",
    );
  }
  if (!has("cpuset")) {
    discard(
      ["CpusetCpus", "CpusetMems"],
      "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
    );
  }
  const pids = host.PidsLimit ?? 0;
  if (pids > 0 && !has("pids")) {
    discard(
      ["PidsLimit"],
      "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
    );
  }
  const weight = host.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) {
    throw invalid("Range of blkio weight is from 10 to 1000");
  }
  if (!has(facts.cgroup === "v2" ? "io" : "blkio")) {
    discard(
      [
        "BlkioWeight",
        "BlkioWeightDevice",
        "BlkioDeviceReadBps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps",
      ],
      "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
    );
  }
  return { host, warnings };
}

function checkCpu(host: HostConfig, facts: HostFacts): void {
  const nano = host.NanoCpus ?? 0;
  const period = host.CpuPeriod ?? 0;
  const quota = host.CpuQuota ?? 0;
  if (nano > 0 && period > 0) {
    throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set.");
  }
  if (nano > 0 && quota > 0) {
    throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set.");
  }
  if (nano < 0 || nano > facts.cpus * 1e9) {
    throw invalid(
      `range of CPUs is from 0.01 to ${facts.cpus}.00, as there are only ${facts.cpus} CPUs available`,
    );
  }
  if ((host.CpuShares ?? 0) < 0) {
    throw invalid(`invalid CPU shares (${host.CpuShares}): value must be a positive integer`);
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (quota > 0 && quota < 1000) throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  for (const [name, text, what] of [
    ["cpus", host.CpusetCpus ?? "", "CPUs"],
    ["mems", host.CpusetMems ?? "", "memory nodes"],
  ] as const) {
    if (text === "") continue;
    const set = parseCpuset(text);
    if (!set) throw invalid(`Invalid value ${text} for cpuset ${name}`);
    if (name === "cpus" && Math.max(...set) >= facts.cpus) {
      const available = facts.cpus === 1 ? "0" : `0-${facts.cpus - 1}`;
      throw invalid(`Requested ${what} are not available - requested ${text}, available: ${available}`);
    }
  }
}

/** "0-2,7" as numbers; undefined when malformed or absurdly large. */
function parseCpuset(text: string): readonly number[] | undefined {
  const numbers: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    if (!match) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first) return undefined;
    for (let n = first; n <= last; n++) numbers.push(n);
  }
  return numbers;
}
