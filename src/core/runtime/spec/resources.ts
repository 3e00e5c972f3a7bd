import { invalid } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { OciResources } from "../runtime.ts";
import type { HostFacts } from "../spec.ts";
import type { DeviceRule } from "./devices.ts";

type ThrottleList = NonNullable<HostConfig["BlkioDeviceReadBps"]>;

/** One period for --cpus: with it a quota of NanoCPUs is exact to 10 microseconds. */
const NANO_PERIOD = 100_000;
/** cpu.shares' range (kernel, MIN_SHARES and MAX_SHARES). */
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;

/**
 * `linux.resources` of validated settings (see validateResources). Members that were not asked for are left out, so that the
 * same function serves create and update.
 */
export function ociResources(
  host: HostConfig,
  facts: HostFacts,
  devices?: readonly DeviceRule[],
): OciResources {
  const resources: Record<string, unknown> = {
    memory: memory(host),
    cpu: cpu(host),
    pids: pids(host, devices === undefined),
    blockIO: blockIO(host, facts),
    devices,
  };
  return Object.fromEntries(
    Object.entries(resources).filter(([, value]) => value !== undefined && !isEmpty(value)),
  );
}

function memory(host: HostConfig): Readonly<Record<string, unknown>> {
  const { Memory, MemoryReservation, MemorySwap, MemorySwappiness, OomKillDisable } = host;
  return compact({
    limit: positive(Memory),
    reservation: positive(MemoryReservation),
    // Unset means twice the memory, as Docker documents it; -1 is no limit and needs saying only beside a limit.
    swap:
      MemorySwap === -1
        ? -1
        : (positive(MemorySwap) ?? (positive(Memory) === undefined ? undefined : Number(Memory) * 2)),
    swappiness: MemorySwappiness === undefined || MemorySwappiness < 0 ? undefined : MemorySwappiness,
    disableOOMKiller: OomKillDisable === true ? true : undefined,
  });
}

function cpu(host: HostConfig): Readonly<Record<string, unknown>> {
  const nano = positive(host.NanoCpus);
  const shares = positive(host.CpuShares);
  return compact({
    shares: shares === undefined ? undefined : Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES),
    period: nano === undefined ? positive(host.CpuPeriod) : NANO_PERIOD,
    quota: nano === undefined ? nonZero(host.CpuQuota) : Math.floor((nano * NANO_PERIOD) / 1e9),
    realtimePeriod: positive(host.CpuRealtimePeriod),
    realtimeRuntime: nonZero(host.CpuRealtimeRuntime),
    cpus: host.CpusetCpus || undefined,
    mems: host.CpusetMems || undefined,
  });
}

/** Zero takes a limit away; a new container has none to begin with. */
function pids(host: HostConfig, update: boolean): Readonly<Record<string, unknown>> {
  const limit = host.PidsLimit;
  if (typeof limit !== "number" || (limit === 0 && !update)) return {};
  return { limit: limit <= 0 ? -1 : limit };
}

function blockIO(host: HostConfig, facts: HostFacts): Readonly<Record<string, unknown>> {
  const throttle = (list: ThrottleList | undefined) =>
    list && list.length > 0
      ? list.map(({ Path, Rate }) => ({ ...blockDevice(Path ?? "", facts), rate: Rate ?? 0 }))
      : undefined;
  const weights = host.BlkioWeightDevice ?? [];
  return compact({
    weight: positive(host.BlkioWeight),
    weightDevice:
      weights.length > 0
        ? weights.map(({ Path, Weight }) => ({ ...blockDevice(Path ?? "", facts), weight: Weight ?? 0 }))
        : undefined,
    throttleReadBpsDevice: throttle(host.BlkioDeviceReadBps),
    throttleWriteBpsDevice: throttle(host.BlkioDeviceWriteBps),
    throttleReadIOPSDevice: throttle(host.BlkioDeviceReadIOps),
    throttleWriteIOPSDevice: throttle(host.BlkioDeviceWriteIOps),
  });
}

function blockDevice(path: string, facts: HostFacts): { readonly major: number; readonly minor: number } {
  const node = facts.devices.node(path);
  if (!node) {
    throw invalid(
      facts.devices.exists(path) ? `${path}: not a device node` : `stat ${path}: no such file or directory`,
    );
  }
  return { major: node.major, minor: node.minor };
}

const positive = (value: number | undefined) => (value !== undefined && value > 0 ? value : undefined);
const nonZero = (value: number | undefined) => (value !== undefined && value !== 0 ? value : undefined);
const compact = (members: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
const isEmpty = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
