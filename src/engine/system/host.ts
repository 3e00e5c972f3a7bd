import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, hostname, machine, release, totalmem } from "node:os";
import { osRelease } from "../../base/lib/os-release.ts";
import { errnoOf } from "../../base/lib/storage-error.ts";

/** What `info` says of the machine. */
export interface MachineInfo {
  readonly name: string;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memory: number;
  readonly ipv4Forwarding: boolean;
}

export function machineInfo(): MachineInfo {
  const os = osRelease(read("/etc/os-release") ?? read("/usr/lib/os-release") ?? "");
  return {
    name: hostname(),
    kernelVersion: release(),
    operatingSystem: os["PRETTY_NAME"] ?? os["NAME"] ?? "Linux",
    osVersion: os["VERSION_ID"] ?? "",
    architecture: machine(),
    cpus: availableParallelism(),
    memory: totalmem(),
    ipv4Forwarding: read("/proc/sys/net/ipv4/ip_forward")?.trim() === "1",
  };
}

/** Entries of /proc/self/<what>: open descriptors ("fd"), threads ("task"). */
export function countOwn(what: "fd" | "task"): number {
  return readdirSync(`/proc/self/${what}`).length;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
