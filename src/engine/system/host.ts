import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, hostname, machine, release, totalmem } from "node:os";
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

/** os-release(5): shell assignments. */
export function osRelease(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(.*))$/.exec(line.trim());
    if (match?.[1]) fields[match[1]] = (match[2] ?? match[3] ?? match[4] ?? "").replace(/\\(.)/g, "$1");
  }
  return fields;
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
