import { readFileSync } from "node:fs";

/** Names this boot of the machine (proc(5), random/boot_id): what was noted in another one is of processes and mounts long gone. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}
