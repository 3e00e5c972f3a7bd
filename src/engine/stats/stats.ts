import { readFile } from "node:fs/promises";
import { isCode } from "../../base/lib/errors.ts";
import type { ContainerStatsResponse } from "../../base/spec/docker/api.gen.ts";
import { type CgroupStats, readCgroupStats } from "../../core/runtime/stats.ts";
import type { ContainerContext } from "../containers/context.ts";
import { parseNetworkMode } from "../containers/network-mode.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { hostCpu } from "./host-cpu.ts";
import { parseNetDev } from "./net-counters.ts";
import { type StatsSample, statsResponse } from "./wire.ts";

export interface StatsOptions {
  readonly stream: boolean;
  /** Without the second sample that rates need. */
  readonly oneShot: boolean;
}

const intervalMs = 1000;

/** `docker stats`: a sample a second for as long as somebody reads; nothing is collected otherwise. */
export async function* containerStats(
  context: ContainerContext,
  reference: string,
  options: StatsOptions,
  signal: AbortSignal,
): AsyncGenerator<ContainerStatsResponse, void, undefined> {
  const { id } = context.store.resolve(reference);
  let before: StatsSample | undefined;
  for (let round = 0; !signal.aborted; round++) {
    const record = context.store.get(id);
    // The stream of a container that is removed ends.
    if (!record) return;
    const sample = isAlive(record) ? await takeSample(context, record) : undefined;
    const priming = !options.stream && !options.oneShot && round === 0 && sample !== undefined;
    if (!priming) yield statsResponse({ id, name: record.name }, sample, before);
    if (!options.stream && !priming) return;
    before = sample;
    try {
      await context.clock.sleep(intervalMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
  }
}

async function takeSample(
  context: ContainerContext,
  record: ContainerRecord,
): Promise<StatsSample | undefined> {
  const cgroup = cgroupStats(context, record);
  if (!cgroup) return undefined;
  return {
    read: new Date(context.clock.now()).toISOString(),
    cgroup,
    host: hostCpu(),
    networks: await networks(record),
  };
}

function cgroupStats(context: ContainerContext, record: ContainerRecord): CgroupStats | undefined {
  try {
    return readCgroupStats(context.runtime.cgroups(record.id));
  } catch (error) {
    // It ended while we looked.
    if (isCode(error, "not-found")) return undefined;
    throw error;
  }
}

/** Interface counters of the container's own network namespace; the host's are not its. */
async function networks(record: ContainerRecord): Promise<StatsSample["networks"]> {
  const { kind } = parseNetworkMode(record.definition.host.NetworkMode);
  if (kind === "host") return undefined;
  try {
    return parseNetDev(await readFile(`/proc/${record.state.pid}/net/dev`, "utf8"));
  } catch {
    // It ended while we looked.
    return undefined;
  }
}
