import { conflict } from "../../../base/lib/errors.ts";
import type { HostConfig, Resources, RestartPolicy } from "../../../base/spec/docker/api.gen.ts";
import { checkRestartPolicy } from "../../restart/policy.ts";

/** Body of POST /containers/{id}/update, with the published ports that go beyond Docker. */
export type UpdateRequest = Resources & {
  readonly RestartPolicy?: RestartPolicy | undefined;
  readonly PublishAdd?: readonly string[];
  readonly PublishRm?: readonly string[];
};

/** Limits that a live container takes: those with a value change. */
const values = [
  "BlkioWeight",
  "CpuShares",
  "CpuPeriod",
  "CpuQuota",
  "CpuRealtimePeriod",
  "CpuRealtimeRuntime",
  "CpusetCpus",
  "CpusetMems",
  "NanoCpus",
  "Memory",
  "MemorySwap",
  "MemoryReservation",
] as const satisfies readonly (keyof Resources)[];

/** Those that change whenever they are given: an empty list takes all limits away, no processes limit means none. */
const given = [
  "BlkioWeightDevice",
  "BlkioDeviceReadBps",
  "BlkioDeviceWriteBps",
  "BlkioDeviceReadIOps",
  "BlkioDeviceWriteIOps",
  "PidsLimit",
] as const satisfies readonly (keyof Resources)[];

/** The host config after an update, and whether limits are among what changes. Pure; throws dockerd's texts on contradictions. */
export function planUpdate(
  id: string,
  before: HostConfig,
  change: UpdateRequest,
): { readonly host: HostConfig; readonly limits: boolean } {
  const refuse = (text: string) => conflict(`Cannot update container ${id}: ${text}`);
  const contradiction = contradictionIn(before, change);
  if (contradiction) throw refuse(contradiction);
  const host: HostConfig = { ...before };
  let limits = false;
  const take = (key: keyof Resources) => {
    Object.assign(host, { [key]: change[key] });
    limits = true;
  };
  for (const key of values) if (change[key]) take(key);
  for (const key of given) if (change[key] !== undefined && change[key] !== null) take(key);
  if (change.RestartPolicy?.Name) {
    checkRestartPolicy(change.RestartPolicy);
    if (before.AutoRemove && change.RestartPolicy.Name !== "no") {
      throw refuse("Restart policy cannot be updated because AutoRemove is enabled for the container");
    }
    host.RestartPolicy = change.RestartPolicy;
  }
  return { host, limits };
}

function contradictionIn(before: HostConfig, change: UpdateRequest): string | undefined {
  const cannot = (what: string, because: string) =>
    `Conflicting options: ${what} cannot be updated as ${because} has already been set`;
  if (change.NanoCpus && before.CpuPeriod) return cannot("Nano CPUs", "CPU Period");
  if (change.NanoCpus && before.CpuQuota) return cannot("Nano CPUs", "CPU Quota");
  if (change.CpuPeriod && before.NanoCpus) return cannot("CPU Period", "NanoCPUs");
  if (change.CpuQuota && before.NanoCpus) return cannot("CPU Quota", "NanoCPUs");
  if (change.Memory && !change.MemorySwap && change.Memory > (before.MemorySwap ?? 0)) {
    return "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
  }
  return undefined;
}
