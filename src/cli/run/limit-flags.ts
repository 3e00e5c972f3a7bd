import type { Resources } from "../../base/spec/docker/api.gen.ts";
import { custom, type Flag, integer, text, unsigned, type Values } from "../flags/flag.ts";
import { parseCpus, parseMemory } from "./values/limits.ts";

/** A flag of sizes as "512m"; `unlimited`: "-1" is one, too. */
export const bytes = (short: string, help: string, unlimited = false): Flag<number> =>
  custom("bytes", short, help, 0, (value) => parseMemory(value, unlimited));

/** Limits that a container gets from `run` and `create`, and that `update` changes while it runs. */
export const limitFlags = {
  "blkio-weight": { ...unsigned("", "Weight of its block I/O, 10 to 1000, 0 for none", 16), shown: "0" },
  "cpu-period": integer("", "CFS period in microseconds"),
  "cpu-quota": integer("", "CFS quota in microseconds"),
  "cpu-rt-period": integer("", "Real-time period in microseconds"),
  "cpu-rt-runtime": integer("", "Real-time runtime in microseconds"),
  "cpu-shares": integer("c", "CPU shares, relative to other containers"),
  cpus: custom("decimal", "", "Number of CPUs, with a fraction", 0, (value) => parseCpus(value)),
  "cpuset-cpus": text("", "CPUs it may run on (0-3, 0,1)"),
  "cpuset-mems": text("", "Memory nodes it may use (0-3, 0,1)"),
  memory: bytes("m", "Limit of memory"),
  "memory-reservation": bytes("", "Soft limit of memory"),
  "memory-swap": bytes("", "Limit of memory and swap together; '-1' for unlimited swap", true),
  "pids-limit": integer("", "Limit of processes (-1 for none)"),
};

/** As the daemon is asked for them; but that of processes, for which 0 means one thing in `run` and another in `update`. */
export function limitsOf(values: Omit<Values<typeof limitFlags>, "pids-limit">): Resources {
  return {
    BlkioWeight: values["blkio-weight"],
    CpuShares: values["cpu-shares"],
    NanoCpus: values.cpus,
    CpuPeriod: values["cpu-period"],
    CpuQuota: values["cpu-quota"],
    CpuRealtimePeriod: values["cpu-rt-period"],
    CpuRealtimeRuntime: values["cpu-rt-runtime"],
    CpusetCpus: values["cpuset-cpus"],
    CpusetMems: values["cpuset-mems"],
    Memory: values.memory,
    MemoryReservation: values["memory-reservation"],
    MemorySwap: values["memory-swap"],
  };
}
