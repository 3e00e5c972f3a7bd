import { join } from "node:path";
import { type CgroupPaths, cgroupPids, controllerPath, readText } from "../../base/sys/cgroup/cgroup.ts";

/** What a cgroup used, in one shape for v1 and v2; what a host does not account is zero or absent. */
export interface CgroupStats {
  readonly cpu: {
    /** Nanoseconds. */
    readonly total: bigint;
    readonly user: bigint;
    readonly system: bigint;
    /** v1 only. */
    readonly perCpu: readonly bigint[];
    readonly periods: number;
    readonly throttledPeriods: number;
    /** Nanoseconds. */
    readonly throttled: bigint;
  };
  readonly memory: {
    readonly usage: number;
    readonly peak: number | undefined;
    /** Infinity when there is none. */
    readonly limit: number;
    readonly failures: number | undefined;
    /** memory.stat's own names and values: v1's and v2's differ, and clients know both. */
    readonly stat: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number; readonly limit: number };
  readonly blkio: { readonly bytes: readonly BlkioEntry[]; readonly operations: readonly BlkioEntry[] };
}

export interface BlkioEntry {
  readonly major: number;
  readonly minor: number;
  /** "read", "write", ... in lower case; v1 also has sync, async, discard and total. */
  readonly op: string;
  readonly value: number;
}

/** Nanoseconds of one USER_HZ tick, which v1's cpuacct.stat counts in. */
const TICK = 10_000_000n;
/** What v1 says for "no limit": the largest page-aligned 63-bit number. */
const V1_UNLIMITED = 2 ** 62;

/** Reads the counters of a cgroup; undefined when it is gone. */
export function readCgroupStats(paths: CgroupPaths): CgroupStats | undefined {
  const root = controllerPath(paths, "pids") ?? controllerPath(paths, "memory");
  if (root === undefined || readText(join(root, "cgroup.procs")) === undefined) return undefined;
  return paths[""] === undefined ? readV1(paths) : readV2(paths[""], paths);
}

function readV2(path: string, paths: CgroupPaths): CgroupStats {
  const cpu = keyed(readText(join(path, "cpu.stat")));
  const usec = (name: string) => BigInt(cpu[name] ?? 0) * 1000n;
  const events = keyed(readText(join(path, "memory.events")));
  return {
    cpu: {
      total: usec("usage_usec"),
      user: usec("user_usec"),
      system: usec("system_usec"),
      perCpu: [],
      periods: cpu["nr_periods"] ?? 0,
      throttledPeriods: cpu["nr_throttled"] ?? 0,
      throttled: usec("throttled_usec"),
    },
    memory: {
      usage: number(path, "memory.current") ?? 0,
      peak: number(path, "memory.peak"),
      limit: number(path, "memory.max") ?? Number.POSITIVE_INFINITY,
      failures: events["max"],
      stat: keyed(readText(join(path, "memory.stat"))),
    },
    pids: {
      current: number(path, "pids.current") ?? cgroupPids(paths).length,
      limit: number(path, "pids.max") ?? Number.POSITIVE_INFINITY,
    },
    blkio: ioStat(readText(join(path, "io.stat")) ?? ""),
  };
}

function readV1(paths: CgroupPaths): CgroupStats {
  const memory = paths["memory"] ?? "";
  const accounting = paths["cpuacct"] ?? "";
  const ticks = keyed(readText(join(accounting, "cpuacct.stat")));
  const throttling = keyed(readText(join(paths["cpu"] ?? "", "cpu.stat")));
  const limit = number(memory, "memory.limit_in_bytes") ?? Number.POSITIVE_INFINITY;
  const pids = paths["pids"] ?? "";
  return {
    cpu: {
      total: BigInt(readText(join(accounting, "cpuacct.usage"))?.trim() || 0),
      user: BigInt(ticks["user"] ?? 0) * TICK,
      system: BigInt(ticks["system"] ?? 0) * TICK,
      perCpu: words(readText(join(accounting, "cpuacct.usage_percpu"))).map((word) => BigInt(word)),
      periods: throttling["nr_periods"] ?? 0,
      throttledPeriods: throttling["nr_throttled"] ?? 0,
      throttled: BigInt(throttling["throttled_time"] ?? 0),
    },
    memory: {
      usage: number(memory, "memory.usage_in_bytes") ?? 0,
      peak: number(memory, "memory.max_usage_in_bytes"),
      limit: limit >= V1_UNLIMITED ? Number.POSITIVE_INFINITY : limit,
      failures: number(memory, "memory.failcnt"),
      stat: keyed(readText(join(memory, "memory.stat"))),
    },
    pids: {
      current: number(pids, "pids.current") ?? cgroupPids(paths).length,
      limit: number(pids, "pids.max") ?? Number.POSITIVE_INFINITY,
    },
    blkio: {
      bytes: v1Blkio(paths["blkio"], "io_service_bytes"),
      operations: v1Blkio(paths["blkio"], "io_serviced"),
    },
  };
}

/** The scheduler that serves a device accounts for it: bfq or, for the others, the throttling layer. */
function v1Blkio(directory: string | undefined, name: string): readonly BlkioEntry[] {
  if (directory === undefined) return [];
  for (const file of [
    `blkio.bfq.${name}_recursive`,
    `blkio.throttle.${name}_recursive`,
    `blkio.throttle.${name}`,
  ]) {
    const entries = (readText(join(directory, file)) ?? "").split("\n").flatMap((line): BlkioEntry[] => {
      const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
      if (!match) return [];
      const [, major, minor, op = "", value] = match;
      return [{ major: Number(major), minor: Number(minor), op: op.toLowerCase(), value: Number(value) }];
    });
    if (entries.length > 0) return entries;
  }
  return [];
}

/** "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" (cgroup-v2, "io.stat"). */
function ioStat(text: string): CgroupStats["blkio"] {
  const bytes: BlkioEntry[] = [];
  const operations: BlkioEntry[] = [];
  for (const line of text.split("\n")) {
    const device = /^(\d+):(\d+) /.exec(line);
    if (!device) continue;
    const [major, minor] = [Number(device[1]), Number(device[2])];
    for (const match of line.matchAll(/ ([rwd])(bytes|ios)=(\d+)/g)) {
      const op = match[1] === "r" ? "read" : match[1] === "w" ? "write" : "discard";
      (match[2] === "bytes" ? bytes : operations).push({ major, minor, op, value: Number(match[3]) });
    }
  }
  return { bytes, operations };
}

function keyed(text: string | undefined): Readonly<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const line of text?.split("\n") ?? []) {
    const [name, value] = line.split(" ");
    if (name && value) values[name] = Number(value);
  }
  return values;
}

/** A file with one number; undefined for "max" and when there is no such file. */
function number(directory: string, name: string): number | undefined {
  const text = directory === "" ? undefined : readText(join(directory, name))?.trim();
  return text === undefined || text === "max" || text === "" ? undefined : Number(text);
}

const words = (text: string | undefined) => text?.split(/\s+/).filter(Boolean) ?? [];
